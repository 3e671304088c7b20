# Interpreters. python3 takes its memory from malloc when PYTHONMALLOC=malloc asks for it, PHP with
# USE_ZEND_ALLOC=0.

group languages

line "perl" needs:perl=perl <<'END'
under perl "$real/hashes.pl"
END

line "perl, forks and pipes" needs:perl=perl VMALLOC_ARENA=4M VMALLOC_SWAP=64M <<'END'
under perl -e '
    use POSIX; my %h; $h{"k$_"} = "v" x ($_ % 200) for 1 .. 60000;
    for my $child (1 .. 20) {
        my $pid = open(my $from, "-|") // die "fork: $!";
        if (!$pid) { my $s = 0; $s += length $h{"k$_"} for map { $_ * 20 + $child } 0 .. 2998; $| = 1; print "$child $s\n"; POSIX::_exit(0) }
        print <$from>; close $from; print "status $?\n" if $?;
    }
    print scalar(grep { length $h{"k$_"} != $_ % 200 } 1 .. 60000), " wrong\n";
'
END

line "python3: dicts and strings" needs:python3=python3 <<'END'
under "$python" "$real/dicts.py"
END

line "python3: processes and threads" needs:python3=python3 VMALLOC_ARENA=6M VMALLOC_SWAP=256M <<'END'
under "$python" "$real/processes.py"
END

line "python3: asyncio" needs:python3=python3 VMALLOC_ARENA=8M VMALLOC_SWAP=256M <<'END'
under "$python" "$real/streams.py"
END

line "python3: json, pickle, zlib, sqlite3" needs:python3=python3 VMALLOC_ARENA=8M VMALLOC_SWAP=256M <<'END'
under "$python" "$real/formats.py"
END

line "ruby" needs:ruby=ruby VMALLOC_ARENA=4M VMALLOC_SWAP=256M <<'END'
under ruby -e '
    h = Hash.new { |hash, key| hash[key] = [] }
    File.foreach(ARGV[0]).first(40000).each { |l| a, b, c, d = l.split; h[a] << b.to_i; h[c] << d.to_i }
    puts h.size, h.values.flatten.sum
    readers = (1..8).map { |i| IO.popen("-") { |io| io ? io.read : (puts h.keys.sort.each_slice(i).map(&:first).join.sum; nil) } }
    puts readers
    puts (1..4).map { |i| Thread.new { h.sum { |k, v| k.size * i + v.size } } }.map(&:value)
    GC.start; GC.compact rescue nil
    puts Marshal.load(Marshal.dump(h.to_a)) == h.to_a
' "$text"
END

line "lua" needs:lua5.4=lua5.4 VMALLOC_ARENA=14M VMALLOC_SWAP=128M <<'END'
cat >script.lua <<'IN'
    local count, lists = {}, {}
    for l in io.lines(arg[1]) do
        local a, b, c, d = l:match("(%S+) (%S+) (%S+) (%S+)")
        count[a] = (count[a] or 0) + 1
        lists[c] = lists[c] or {}
        table.insert(lists[c], b)
        if count[a] > 20 then break end
    end
    local keys = {}
    for k, v in pairs(lists) do keys[#keys + 1] = k; table.sort(v) end
    table.sort(keys)
    local sum = 0
    for i, k in ipairs(keys) do sum = (sum * 31 + #table.concat(lists[k], ",") + (count[k] or 0)) % 1000000007 end
    print(#keys, sum)
IN
under lua5.4 script.lua "$text"
END

line "php" needs:php=php-cli VMALLOC_ARENA=16M VMALLOC_SWAP=256M <<'END'
export USE_ZEND_ALLOC=0
under php -n -d memory_limit=-1 -r '
    $h = [];
    foreach (array_slice(file($argv[1]), 0, 120000) as $l) { [$a, $b, $c, $d] = explode(" ", trim($l)); $h[$a][] = (int)$b; $h[$c][] = (int)$d; }
    ksort($h);
    echo count($h), " ", array_sum(array_map("array_sum", $h)), "\n";
    echo md5(json_encode($h)), " ", md5(serialize(unserialize(serialize($h)))), "\n";
    echo preg_match_all("/[aeiou]{2,}/", implode(" ", array_keys($h))), "\n";
    echo md5(shell_exec("sort " . escapeshellarg($argv[1]))), "\n";
' "$text"
END

line "node" needs:node=nodejs VMALLOC_ARENA=8M VMALLOC_SWAP=512M <<'END'
under node "$real/buffers.js" "$text"
END

line "java" needs:javac=default-jdk-headless VMALLOC_ARENA=8M VMALLOC_SWAP=512M <<'END'
cp "$real/Words.java" .
under javac -J-Xmx128m Words.java
under java -Xmx64m -Xshare:off Words "$text"
END

line "java, C2 only, 8 threads, G1" needs:javac=default-jdk-headless VMALLOC_ARENA=12M VMALLOC_SWAP=512M <<'END'
javac -d . "$real/Words.java"
under java -Xmx96m -XX:+UseG1GC -XX:ParallelGCThreads=4 -XX:-TieredCompilation -XX:CompileThreshold=100 Words "$text"
END

# Go's runtime asks the kernel by its own instructions; with cgo it shares the process with libc's heap.
line "go, cgo" needs:go=golang-go VMALLOC_ARENA=1M VMALLOC_SWAP=256M <<'END'
[ -e go/main ] || { mkdir -p go && cp "$real/cgo.go" go/main.go && (cd go && GO111MODULE=off GOCACHE="$PWD/cache" go build -o main .); } || exit 1
under go/main
END
