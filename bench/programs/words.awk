# Counts words, keeps where they stood, and joins lines by word: gawk -f words.awk FILE. Its arrays live in malloc.
{
    for (i = 1; i <= NF; i++) {
        count[$i]++
        last[$i] = NR
    }
    if (NR % 4 == 0)
        lines[$1] = lines[$1] " " NR
}
END {
    n = asorti(count, names)
    for (i = 1; i <= n; i += 97)
        print names[i], count[names[i]], last[names[i]], lines[names[i]]
    for (name in count)
        total += count[name] * length(name)
    print n, total
}
