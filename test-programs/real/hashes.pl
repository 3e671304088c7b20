# Builds, changes and checks hashes, arrays and strings: perl hashes.pl. Prints checksums.
use strict;
use warnings;

my (%table, %groups);
for my $number (1 .. 45000) {
    $table{"key$number"} = $number * 7 . ("y" x ($number % 30));
    push @{$groups{$number % 500}}, "item$number";
}
delete $table{"key$_"} for grep { $_ % 4 == 0 } 1 .. 45000;
my $sum = 0;
for my $number (1 .. 45000) {
    my $found = $table{"key$number"};
    die "key$number" if defined $found == ($number % 4 == 0);
    next unless defined $found;
    die "value of key$number" if $found ne $number * 7 . ("y" x ($number % 30));
    $sum = ($sum * 31 + length($found) + $number) % 1000000007;
}
print scalar(keys %table), " $sum\n";
my $text = join ",", map { join "+", sort @{$groups{$_}} } sort keys %groups;
my $items = () = $text =~ /item\d+/g;
print length($text), " $items ", unpack("%32C*", $text), "\n";
