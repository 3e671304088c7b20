/* cubes: how fast are lists of short bit sets that a recursion makes, merges and drops?
 *
 * After espresso as it is described (Brayton and others, 'Logic Minimization Algorithms for VLSI Synthesis', 1984): a cover is
 * an array of cubes, a cube has two bits a variable; the complement of a cover is found by splitting it at the variable
 * that most cubes know, again and again.
 *
 * cubes [COVERS] */
#include "bench.h"
#include <string.h>

enum { VARIABLES = 40, WORDS = (VARIABLES + 31) / 32, CUBES = 16 };
static const uint64_t ANY = ~(uint64_t)0; /* both bits of 32 variables: 01 false, 10 true, 11 either */

typedef uint64_t *cube;
typedef struct {
    cube *cubes;
    size_t count, room;
} cover;

static cube copied(const uint64_t *from) {
    cube made = must(malloc(WORDS * sizeof *made), "malloc");
    return from ? memcpy(made, from, WORDS * sizeof *made) : memset(made, 255, WORDS * sizeof *made);
}

static void add(cover *c, cube more) {
    if (c->count == c->room) {
        c->room = c->room ? c->room * 3 / 2 + 1 : 4;
        c->cubes = must(realloc(c->cubes, c->room * sizeof *c->cubes), "realloc");
    }
    c->cubes[c->count++] = more;
}

static void drop(cover *c) {
    for (size_t i = 0; i < c->count; i++) free(c->cubes[i]);
    free(c->cubes);
}

static unsigned bits(const uint64_t *c, size_t variable) { return c[variable / 32] >> variable % 32 * 2 & 3; }
static void set(cube c, size_t variable, uint64_t to) {
    c[variable / 32] = (c[variable / 32] & ~((uint64_t)3 << variable % 32 * 2)) | to << variable % 32 * 2;
}

static int is_any(const uint64_t *c) {
    for (size_t w = 0; w < WORDS; w++)
        if (c[w] != ANY) return 0;
    return 1;
}

/* The variable that most cubes know. */
static size_t busiest(const cover *c) {
    size_t best = 0, most = 0;
    for (size_t v = 0; v < VARIABLES; v++) {
        size_t known = 0;
        for (size_t i = 0; i < c->count; i++) known += bits(c->cubes[i], v) != 3;
        if (known > most) most = known, best = v;
    }
    return best;
}

/* What is left of the cover where the variable is so. */
static cover cofactor(const cover *c, size_t variable, unsigned so) {
    cover left = {0};
    for (size_t i = 0; i < c->count; i++) {
        if (!(bits(c->cubes[i], variable) & so)) continue;
        cube rest = copied(c->cubes[i]);
        set(rest, variable, 3);
        add(&left, rest);
    }
    return left;
}

static cover complement(const cover *c) {
    cover all = {0};
    if (!c->count) add(&all, copied(NULL));
    for (size_t i = 0; i < c->count; i++)
        if (is_any(c->cubes[i])) return all;
    if (!c->count) return all;
    size_t variable = busiest(c);
    for (unsigned so = 1; so <= 2; so++) {
        cover half = cofactor(c, variable, so), rest = complement(&half);
        drop(&half);
        for (size_t i = 0; i < rest.count; i++) {
            cube found = copied(rest.cubes[i]);
            set(found, variable, so);
            add(&all, found);
        }
        drop(&rest);
    }
    return all;
}

int main(int argc, char **argv) {
    size_t covers = argument(argc, argv, 1, 80);
    uint64_t rng = 10, check = 0, start = now_ns();
    for (size_t n = 0; n < covers; n++) {
        cover c = {0};
        for (size_t i = 0; i < CUBES; i++) {
            cube made = copied(NULL);
            for (size_t known = 0; known < 8; known++) set(made, below(&rng, VARIABLES), 1 + below(&rng, 2));
            add(&c, made);
        }
        cover other = complement(&c);
        check += other.count;
        for (size_t i = 0; i < other.count; i++) check += other.cubes[i][0] % 1000003;
        drop(&other);
        drop(&c);
    }
    report(now_ns() - start, covers, check);
}
