# git, on a repository of 2,500 commits that is made for it; and make, compilers and linkers.

group development

line "git fast-import, fsck, log" needs:git=git VMALLOC_ARENA=1M VMALLOC_SWAP=128M <<'END'
"$python" "$real/history.py" 2500 >history
under git init -q -b main repository
cd repository
under git fast-import --quiet <../history
under git fsck --full --strict
under git rev-list --count --all
under git log --stat --format='%H %s' -n 400 | sha256sum
under git log -p -n 300 --patience | sha256sum
END

line "git gc, repack, clone, verify-pack" needs:git=git VMALLOC_ARENA=12M VMALLOC_SWAP=256M <<'END'
"$python" "$real/history.py" 2500 | { git init -q -b main repository; cd repository; git fast-import --quiet; }
cd repository
git config pack.threads 2
git config gc.auto 0
under git gc -q --aggressive --prune=now
under git fsck --full
under git repack -q -a -d -f --depth=50 --window=20
under git cat-file --batch-check --batch-all-objects | sha256sum
under git clone -q --no-local . ../copy
under git -C ../copy fsck --full
under git -C ../copy rev-list --objects --all | sort | sha256sum
under git -C ../copy checkout -q HEAD~1500
under git -C ../copy status --short | wc -l
END

line "git blame, grep, diff, merge, rebase" needs:git=git VMALLOC_ARENA=512K VMALLOC_SWAP=128M <<'END'
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
export GIT_AUTHOR_DATE='2024-01-01 00:00:00 +0000' GIT_COMMITTER_DATE='2024-01-01 00:00:00 +0000'
"$python" "$real/history.py" 1500 | { git init -q -b main repository; cd repository; git fast-import --quiet; }
cd repository
git reset -q --hard
for file in $(ls | head -3); do under git blame "$file"; done | sha256sum
under git grep -n 'line 1[0-9]*5 ' | sha256sum
under git diff --stat HEAD~1000 | tail -3
under git checkout -q -b side HEAD~40
echo side >side && under git add side && under git commit -qm side
under git merge -q -m merged main && under git rev-parse HEAD
under git checkout -q -b moved HEAD~20
echo moved >moved && under git add moved && under git commit -qm moved
under git rebase -q main && under git rev-parse HEAD
under git stash list
under git archive HEAD | sha256sum
END

line "gcc -O2" needs:gcc=gcc VMALLOC_ARENA=3M VMALLOC_SWAP=512M <<'END'
ls "$sources"/*.c | while read -r file; do
    under gcc -O2 -g0 -pthread -I "$sources" -c "$file" -o object.o 2>&1 && objdump -d object.o | sha256sum
done
END

line "g++ -O2" needs:g++=g++ VMALLOC_ARENA=8M VMALLOC_SWAP=1G <<'END'
cp "$sources/collections.cpp" .
under g++ -O2 -pthread collections.cpp -o collections && sha256sum collections && ./collections
cat >templates.cpp <<'IN'
#include <algorithm>
#include <iostream>
#include <map>
#include <regex>
#include <sstream>
int main() {
    std::map<std::string, std::vector<int>> m;
    std::regex r("([a-z]+)=(\\d+)");
    std::stringstream s("a=1 b=22 c=333");
    for (std::string w; s >> w;) { std::smatch found; if (std::regex_match(w, found, r)) m[found[1]].push_back(std::stoi(found[2])); }
    for (auto& [k, v] : m) std::cout << k << v.front() << '\n';
}
IN
under g++ -O2 -std=c++17 templates.cpp -o templates && sha256sum templates && ./templates
END

line "make -j2, gcc" needs:make=make needs:gcc=gcc VMALLOC_ARENA=4M VMALLOC_SWAP=256M <<'END'
cp -r "$sources" sources
under make -s -j2 -C sources c BUILD="$PWD/made" && made/row_sums 1000 4000
END

line "rustc" needs:rustc=rustc VMALLOC_ARENA=8M VMALLOC_SWAP=1G few:"its own allocator: jemalloc, linked in" <<'END'
cp "$sources/rust_collections.rs" .
under rustc -O -C codegen-units=2 rust_collections.rs && ./rust_collections
END

line "cargo build" needs:cargo=cargo VMALLOC_ARENA=1M VMALLOC_SWAP=512M <<'END'
mkdir -p crate/src && cp "$sources/rust_collections.rs" crate/src/main.rs
printf '[package]\nname = "c"\nversion = "0.1.0"\nedition = "2021"\n' >crate/Cargo.toml
under cargo build --offline -q --release --manifest-path crate/Cargo.toml && crate/target/release/c
END

line "ld, ar, nm, objdump, strip" needs:ld=binutils VMALLOC_ARENA=4M VMALLOC_SWAP=512M <<'END'
libc=$(gcc -print-file-name=libc.a)
under ar t "$libc" | sha256sum
under nm "$libc" 2>/dev/null | sha256sum
under objdump -d "$(gcc -print-file-name=libc.so.6)" | sha256sum
gcc -x c -c -o main.o - <<<'int puts(const char *); int main(void) { return puts("linked") < 0; }'
under gcc -static main.o -o linked && ./linked
under strip -o stripped linked && sha256sum stripped
END
