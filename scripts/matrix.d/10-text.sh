# Text tools, on a text of 300,000 lines and on the headers of this system.

group text

line "sort" needs:sort=coreutils <<'END'
under sort "$text"
END

line "sort, by number" VMALLOC_ARENA=2M <<'END'
under sort -k2,2n -k1,1 "$text"
END

line "sort, 4 threads" VMALLOC_ARENA=4M VMALLOC_SWAP=64M <<'END'
under sort --parallel=4 -S 24M -k3 "$text"
END

line "sort -u, spilling to files" VMALLOC_ARENA=512K VMALLOC_SWAP=64M <<'END'
under sort -u -S 2M -k1,1 "$text"
END

line "wc" VMALLOC_ARENA=256K few:"a buffer on the stack" <<'END'
under wc "$text"
END

line "sha256sum" VMALLOC_ARENA=256K few:"one buffer of 32 KiB" <<'END'
under sha256sum "$text" "$text"
END

line "tac, from a pipe" VMALLOC_ARENA=256K VMALLOC_SWAP=64M <<'END'
tr '\n' ' ' <"$text" | under tac -s xyz | sha256sum
END

line "shuf" VMALLOC_ARENA=8M VMALLOC_SWAP=64M <<'END'
under shuf --random-source="$text" "$text"
END

line "tsort, join, comm, fold, tail" VMALLOC_ARENA=768K VMALLOC_SWAP=64M <<'END'
awk '{print $1, $3}' "$text" | head -8000 >pairs
under tsort pairs 2>/dev/null | sha256sum
cut -d' ' -f1 pairs | sort -u >one
cut -d' ' -f2 pairs | sort -u >two
under comm one two | sha256sum
under join one two | sha256sum
cat "$text" | under tail -n 100000 | sha256sum
tr '\n' ' ' <"$text" | under fold -s -w 70 | sha256sum
END

line "gawk" needs:gawk=gawk VMALLOC_ARENA=14M <<'END'
under gawk -f "$real/words.awk" "$text"
END

line "mawk" needs:mawk=mawk VMALLOC_ARENA=7M VMALLOC_SWAP=64M <<'END'
under mawk '{ n[$1]++; s[$3] = s[$3] $2 } END { for (w in n) print w, n[w], length(s[w]) }' "$text" | sort
END

line "sed, the text in its hold space" VMALLOC_ARENA=1M VMALLOC_SWAP=64M <<'END'
head -60000 "$text" | under sed -n 's/[aeiou]\+/<&>/g; H; ${x; s/\n/|/g; p}'
END

line "grep -r" VMALLOC_ARENA=192K <<'END'
under grep -rhoE '[a-z]+_(init|exit|alloc|free)[a-z_]*' /usr/include | sort | uniq -c
END

line "grep -f, 20,000 patterns" VMALLOC_ARENA=3900K VMALLOC_SWAP=256M <<'END'
cut -d' ' -f1 "$text" | sort -u | sed -n 'p;n' >patterns
under grep -cFf patterns "$text"
under grep -oFf patterns "$text" | sha256sum
END

line "diff" needs:diff=diffutils VMALLOC_ARENA=10M VMALLOC_SWAP=128M <<'END'
sed 's/^\([a-f]\)\(.*\)7$/\2\1/' "$text" >other
{ under diff "$text" other; echo "status $?"; } | sha256sum
END

line "find, xargs" needs:find=findutils VMALLOC_ARENA=192K few:"small heaps, many processes" <<'END'
under find /usr/include -type f -name '*.h' -print0 | sort -z | under xargs -0 -n 50 cksum | sha256sum
END

line "ls -lR" VMALLOC_ARENA=256K VMALLOC_SWAP=64M <<'END'
mkdir many
(cd many && seq -f "file-%06g-with-a-name" 15000 | xargs touch -d 2024-01-01)
under ls -l --full-time many | sha256sum
END

line "bc, 5,000 digits" needs:bc=bc VMALLOC_ARENA=2M <<'END'
BC_LINE_LENGTH=70 under bc "$real/digits.bc" </dev/null
END
