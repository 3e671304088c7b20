/* random_pages.h: the walk that random_access and floor have in common, so that their figures can be divided.
 *
 * Invariants:
 * - every access begins with a store: a page that is not there is faulted in by a write, and leaves dirty;
 * - page p begins with a word that only fill_pages() wrote, and each access checks it: paging that mixes pages up is seen;
 * - the other bytes are random, so that no kernel gains by compressing them or by knowing that a page is all one value. */
#ifndef RANDOM_PAGES_H
#define RANDOM_PAGES_H

#include "bench.h"

enum { WORDS = PAGE / sizeof(uint64_t) };

static inline uint64_t page_word(size_t page) {
    uint64_t state = page;
    return splitmix64(&state);
}

static inline void fill_pages(volatile uint64_t *base, size_t pages) {
    for (size_t page = 0; page < pages; page++) {
        uint64_t state = page;
        for (size_t word = 0; word < WORDS; word++) base[page * WORDS + word] = splitmix64(&state);
    }
}

/* The nanoseconds that `accesses` random stores take. */
static inline uint64_t access_pages(volatile uint64_t *base, size_t pages, size_t accesses) {
    uint64_t rng = 2026, start = now_ns();
    for (size_t i = 0; i < accesses; i++) {
        size_t page = below(&rng, pages);
        base[page * WORDS + 1 + i % (WORDS - 1)] = i;
        if (base[page * WORDS] != page_word(page)) {
            fprintf(stderr, "page %zu holds another page's data\n", page);
            exit(1);
        }
    }
    return now_ns() - start;
}

#endif
