# Shells: many subshells, each of them a fork of a heap that is mostly swapped out.

group shells

line "bash, 400 subshells" needs:bash=bash VMALLOC_ARENA=512K VMALLOC_SWAP=64M <<'END'
under bash -c '
    declare -A words
    n=0
    while read -r a b c d; do words[$a]+=" $b"; n=$((n + 1)); [ $n -lt 20000 ] || break; done <"$0"
    for i in {1..200}; do
        x=$(echo "${#words[@]}" | { read -r y; echo "$y $i"; })
        sum=$((${sum:-0} + ${x%% *} + i))
    done
    echo $sum
    for w in "${!words[@]}"; do echo "$w:${words[$w]}"; done | sort | sha256sum
' "$text"
END

line "bash, pipes, traps and jobs" VMALLOC_ARENA=4M VMALLOC_SWAP=128M <<'END'
cat >script <<'IN'
trap 'caught=$((${caught:-0} + 1))' USR1
mapfile -t lines <"$1"
lines=("${lines[@]:0:8000}")
for i in {1..40}; do
    (kill -USR1 $$; for l in "${lines[@]:i*100:100}"; do echo "$l"; done) >part.$i &
done
wait; wait; wait
for job in $(jobs -p); do wait $job; done
cat part.{1..40} | cksum
while read -r l; do n=$((n + ${#l})); done < <(printf '%s\n' "${lines[@]}")
echo $n $((caught > 0))
printf '%s\n' "${lines[@]}" | rev | sort | while read -r l; do echo "${l^^}"; done | cksum
IN
under bash script "$text"
END

line "dash, 300 subshells" needs:dash=dash VMALLOC_ARENA=4M VMALLOC_SWAP=64M <<'END'
cat >script <<'IN'
all=$(head -60000 "$1")
i=0
while [ $i -lt 150 ]; do
    i=$((i + 1))
    n=$(echo "$all" | head -$i | wc -c)
    sum=$((${sum:-0} + n))
done
echo $sum
set -- $all
echo $#
for w; do case $w in *zz*) echo "$w";; esac; done | cksum
IN
under dash script "$text"
END
