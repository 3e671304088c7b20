# docs/PROGRAMS.md, from the last run of each line, with its own settings and with each set of options.
# Sourced by scripts/matrix.

tables=$work/tables options_table=$work/options_table
group_shown="" variants=()
: >"$tables"
: >"$options_table"

# table_row NAME REASON: one row, from what compare_line kept. $work/line.sh is the line.
table_row() {
    local name=$1 few=$2 command verdict settings native here faults swap_ins evictions processes
    if [ "$group_shown" != "$current" ]; then
        group_shown=$current
        {
            echo
            echo "## ${current^}"
            echo
            sed -n '/^# /!q; s/^# //p' "$file"
            echo "Lines: [\`$file\`](../$file)."
            echo
            echo "| program | command | settings | faults | swap-ins | evictions | processes | native s | here s | output |"
            echo "|---|---|---|---|---|---|---|---|---|---|"
        } >>"$tables"
    fi
    command=$(sed "1,/^# END OF THE BEGINNING/d" "$work/line.sh" | first_command)
    read_result "$kept/$slug/result" || verdict="not run"
    [ -z "$few" ] || verdict+="; pages little: $few"
    echo "| $name | \`$command\` | ${settings//VMALLOC_/} | $faults | $swap_ins | $evictions | $processes | $native | $here | $verdict |" >>"$tables"
    options_row "$name"
}

# read_result FILE: into the variables of table_row, which are empty if there is none.
read_result() {
    verdict="" settings="" native="" here="" faults="" swap_ins="" evictions="" processes=""
    [ -s "$1" ] || return 1
    # Not by tabs, of which two would count as one.
    IFS=$'\037' read -r verdict settings native here faults swap_ins evictions processes _ < <(tr '\t' '\037' <"$1")
    return 0
}

# The sets of options that some line was run with, as `variant` writes them.
find_variants() {
    mapfile -t variants < <(cd "$kept" && find . -name 'result.*' | sed 's/.*result//' | sort -u)
}

# options_row NAME: what became of the line with options, if it was run with any.
options_row() {
    local variant row="| $current: $1 |" any=""
    [ ${#variants[@]} -gt 0 ] || find_variants
    for variant in "${variants[@]}"; do
        if read_result "$kept/$slug/result$variant"; then
            any=1
            row+=" $verdict; $swap_ins |"
        else
            row+=" |"
        fi
    done
    [ -z "$any" ] || echo "$row" >>"$options_table"
}

options_section() {
    local variant header="| program |" rule="|---|"
    [ -s "$options_table" ] || return 0
    for variant in "${variants[@]}"; do
        header+=" \`$(sed 's/\.\([a-z]*\)-\{0,1\}/ --\1 /g; s/^ //; s/ *$//' <<<"$variant")\` |"
        rule+="---|"
    done
    printf '\n## With options\n\nThe output, and how many pages were swapped in.\n\n%s\n%s\n' "$header" "$rule"
    cat "$options_table"
}

# The first command of a line that is run under the library, short enough for a table.
first_command() {
    local all first
    all=$(grep -E '(^|[ (|])under ')
    first=$(head -n 1 <<<"$all" | sed 's/^ *//; s/|/\\|/g' | cut -c 1-100)
    [ "$(wc -l <<<"$all")" -gt 1 ] && first+=" …"
    echo "$first"
}

# cannot NAME REASON: a program for which there is no line.
cannot() {
    [ "$mode" = docs ] || return 0
    if [ "$group_shown" != "$current" ]; then
        group_shown=$current
        printf '\n## %s\n\n| program | why |\n|---|---|\n' "${current^}" >>"$tables"
    fi
    echo "| $1 | $2 |" >>"$tables"
}

write_docs() {
    {
        cat <<'END'
# Programs

Programs that nobody wrote for this, natively and under the library, with an arena so small that they page throughout. Standard output and exit status
must be the same, byte for byte; what a program writes to files is read back, checksummed or checked by the program itself. A line fails as well
if the library has anything to say, if its statistics contradict themselves, or if fewer than 1,000 pages were evicted or swapped in (but for
those that say why).

This page is written by `scripts/matrix --update-docs`; each line can be repeated with `scripts/matrix NAME`. `under` in a command stands for
nothing in the first run and for the preloaded library in the second; settings are variables without their `VMALLOC_`.
Counts are sums over all processes that ended by themselves. Times are of one run each, on two cores that had other work too.

```
scripts/matrix --install           # everything; what is missing is installed (Debian, as root)
scripts/matrix redis git           # some lines
scripts/matrix --policy fifo       # another policy; --page 64K, --arena 16M and --delay (a slow swap device) change other things
```
END
        cat "$tables"
        options_section
    } >docs/PROGRAMS.md
    echo "docs/PROGRAMS.md: $(grep -c '| same' "$tables") lines are the same, $(grep -c '| FAILED' "$tables") failed, $(grep -c '| not run' "$tables") not run"
}
