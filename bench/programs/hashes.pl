# A Perl program that lives in malloc: hashes of strings and arrays, joins, splits and sorts.
# hashes.pl [ROUNDS] [WORDS]. Prints a checksum of its results, which no allocator may change.
use strict;
use warnings;

my $rounds = shift // 4;
my $words  = shift // 70_000;
my $total  = 0;
for my $round (1 .. $rounds) {
    my ($seed, %count, %places) = ($round);
    for my $index (1 .. $words) {
        $seed = ($seed * 1_103_515_245 + 12_345) & 0x7fffffff;
        my $word = "word" . ($seed >> 14);
        $count{$word}++;
        push @{ $places{$word} }, $index;
    }
    my @words = sort keys %count;
    my $text  = join ",", map { uc } @words;
    my @parts = map { scalar reverse } split /,/, $text;
    $total += length for @parts;
    $total += $places{$_}[0] + $count{$_} for @words;
    delete @count{ @words[ 0 .. $#words / 2 ] };
    $total += keys %count;
}
print "$total\n";
