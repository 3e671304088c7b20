# Programs for which there is no line.

group "what cannot work"

cannot "Go programs (docker, gh, hugo)" "statically linked, and Go maps its memory itself: nothing to preload, and no malloc"
cannot "busybox-static, ldconfig, any static binary" "the dynamic linker does not run; \`vmalloc run\` says so and does not start them"
cannot "sudo, su, passwd, ping (setuid or with capabilities)" "the kernel has the dynamic linker ignore LD_PRELOAD; \`vmalloc run\` says so"
cannot "rustc" "works, but nothing pages: jemalloc is linked into it. cargo and what rustc starts do page"
cannot "Firefox, Chromium" "bring their own allocator in the program itself; their sandbox also forbids the calls of the pager"
cannot "the heap of V8 (node), of the Java virtual machine and of Ruby's objects" "mapped by themselves; only what they take from malloc pages"
cannot "programs for 32 bits or for musl" "another C library than the one the library is made for"
