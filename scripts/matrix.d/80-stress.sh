# stress-ng, which checks what it did (--verify).

group stress

stress() {
    line "stress-ng $1" needs:stress-ng=stress-ng VMALLOC_ARENA="$2" VMALLOC_SWAP="$3" "${@:5}" <<<"under stress-ng --quiet --verify --temp-path . $4; echo \$?"
}

stress "--malloc" 2M 64M "--malloc 2 --malloc-bytes 256K --malloc-max 64 --malloc-touch --malloc-ops 20000"
stress "--malloc, 8 threads" 2M 512M "--malloc 1 --malloc-bytes 64K --malloc-max 400 --malloc-pthreads 8 --malloc-touch --malloc-ops 40000"
stress "--fork, --vfork, --daemon, --zombie" 192K 64M "--fork 2 --fork-ops 400 --vfork 2 --vfork-ops 400 --daemon 1 --daemon-ops 100 --zombie 1 --zombie-ops 100" few:"a small heap"
# Nobody, because root is refused.
stress "--clone, --exec, --spawn" 192K 64M "--clone 1 --clone-ops 200 --exec 1 --exec-ops 5 --spawn 1 --spawn-ops 100" user:nobody few:"a small heap"
stress "--qsort, --tree, --hsearch, --bsearch" 1M 64M "--qsort 1 --qsort-size 100000 --qsort-ops 4 --tree 1 --tree-size 20000 --tree-ops 4 --hsearch 1 --hsearch-size 20000 --hsearch-ops 8 --bsearch 1 --bsearch-ops 8"
stress "--pthread, --sigsegv, --sigfd, --sigq" 512K 64M "--pthread 2 --pthread-ops 400 --sigsegv 2 --sigsegv-ops 2000 --sigfd 1 --sigfd-ops 2000 --sigq 1 --sigq-ops 2000 --sigsuspend 1 --sigsuspend-ops 2000" few:"a small heap"
stress "--timer, --poll, --pipe, --sock, --udp" 512K 64M "--timer 1 --timer-ops 2000 --poll 1 --poll-ops 500 --pipe 1 --pipe-ops 20000 --sock 1 --sock-ops 200 --udp 1 --udp-ops 2000" few:"a small heap"
stress "--mergesort, --judy, --skiplist, --bigheap" 512K 64M "--mergesort 1 --mergesort-size 100000 --mergesort-ops 2 --judy 1 --judy-size 50000 --judy-ops 2 --skiplist 1 --skiplist-size 50000 --skiplist-ops 2 --bigheap 1 --bigheap-ops 400 --bigheap-growth 64K"
