# The documents: every link leads somewhere, and the pages of docs/adding/ do what they say.

group documents
check "links" python3 scripts/lib/links.py

# A document whose links are wrong in every way that there is, and right in others.
mkdir -p "$work/links"
cat >"$work/links/page.md" <<'END'
# Some `code` & *more*: words
[right](#some-code--more-words) [right](page.md#again-1) [away](https://example.org/#no) `[code](none.md)`
## Again
## Again
[wrong](none.md) [wrong](#again-2)
[named]: page.md#nowhere
END
finds_wrong_links() {
    [ "$(python3 scripts/lib/links.py "$1" | wc -l)" -eq 3 ] && ! python3 scripts/lib/links.py "$1" >"$1/said"
}
export -f finds_wrong_links
check "wrong links are found" bash -c 'finds_wrong_links "$1"' - "$work/links"

if [ "$mode" = full ] && [ -z "${LIBVMALLOC:-}" ]; then
    pages=$(realpath -m "${CARGO_TARGET_DIR:-target}")/pages
    for page in docs/adding/*.md; do
        CARGO_TARGET_DIR=$pages/target check "$page" python3 scripts/lib/pages.py "$page" "$pages/tree"
    done
fi
