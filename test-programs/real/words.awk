# Counts words and keeps the lines on which some of them stand: gawk -f words.awk FILE
{
    count[$1]++
    count[$3]++
    sum[$1] += $4 % 1000
    if (NR % 8 == 0)
        lines[$1] = lines[$1] " " NR
}
END {
    n = asorti(count, names)
    for (i = 1; i <= n; i += 97)
        print names[i], count[names[i]], sum[names[i]], lines[names[i]]
    for (name in count)
        total += count[name]
    print n, total
}
