/* bench.h: what every benchmark program shares: a clock, a random sequence, blocks that are really used, one output line.
 *
 * Invariants:
 * - the work is fixed by the arguments (never by time), so that the same run under two allocators does the same;
 * - every block is written when it is made and read before it is freed, so `check` is the same under every correct allocator;
 * - the only output is one line of key=value pairs, made by report() after the clock has stopped. */
#ifndef BENCH_H
#define BENCH_H

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PAGE 4096u

static inline void die(const char *what) {
    perror(what);
    exit(1);
}

static inline void usage(const char *text) {
    fprintf(stderr, "usage: %s\n", text);
    exit(2);
}

static inline uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Steele, Lea and Flood's splitmix64: any seed is good, one add and two multiplications a number. */
static inline uint64_t splitmix64(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* A number below `bound` (which is below 2^32), without a division. */
static inline size_t below(uint64_t *state, size_t bound) {
    return (size_t)(((splitmix64(state) >> 32) * bound) >> 32);
}

static inline size_t between(uint64_t *state, size_t low, size_t high) {
    return low + below(state, high - low + 1);
}

/* What real programs ask for: mostly a few words, some strings and nodes, now and then a buffer. */
static inline size_t small_size(uint64_t *state) {
    size_t dice = below(state, 100);
    if (dice < 70) return between(state, 8, 64);
    if (dice < 95) return between(state, 65, 256);
    return between(state, 257, 1024);
}

static inline void *must(void *block, const char *what) {
    if (!block) die(what);
    return block;
}

/* Writes both ends of a block and a byte of every page between them. */
static inline void stamp(unsigned char *block, size_t size, unsigned char value) {
    for (size_t at = 0; at < size; at += PAGE) block[at] = value;
    block[size - 1] = value;
}

static inline unsigned char *stamped(size_t size, unsigned char value) {
    unsigned char *block = must(malloc(size), "malloc");
    stamp(block, size, value);
    return block;
}

/* Reads the first byte, which belongs to the sum that `check` is. */
static inline uint64_t release(unsigned char *block) {
    uint64_t value = block[0];
    free(block);
    return value;
}

static inline size_t argument(int argc, char **argv, int index, size_t otherwise) {
    return argc > index ? strtoull(argv[index], NULL, 10) : otherwise;
}

static inline void report(uint64_t ns, uint64_t ops, uint64_t check) {
    printf("ns=%" PRIu64 " ops=%" PRIu64 " check=%" PRIx64 "\n", ns, ops, check);
}

#endif
