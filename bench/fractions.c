/* fractions: how fast are many tiny blocks that live for an instant?
 *
 * After cfrac as it is described (Zorn and Grunwald's programs; Barrett's continued fraction factoring): the continued
 * fraction of a square root modulo a large number, in arithmetic whose every result is a new block and whose operands
 * are freed at once.
 *
 * fractions [STEPS] */
#include "bench.h"
#include <string.h>

typedef struct {
    size_t length; /* of digits, the least first; the highest is not zero */
    uint32_t digits[];
} number;

static number *room(size_t length) {
    number *n = must(malloc(sizeof *n + length * sizeof *n->digits), "malloc");
    n->length = length;
    return n;
}

static number *trimmed(number *n) {
    while (n->length && !n->digits[n->length - 1]) n->length--;
    return n;
}

static number *product(const number *a, uint32_t factor) {
    number *n = room(a->length + 1);
    uint64_t carry = 0;
    for (size_t i = 0; i < a->length; i++, carry >>= 32) {
        carry += (uint64_t)a->digits[i] * factor;
        n->digits[i] = (uint32_t)carry;
    }
    n->digits[a->length] = (uint32_t)carry;
    return trimmed(n);
}

static number *sum(const number *a, const number *b) {
    size_t longer = a->length > b->length ? a->length : b->length;
    number *n = room(longer + 1);
    uint64_t carry = 0;
    for (size_t i = 0; i < longer; i++, carry >>= 32) {
        carry += (uint64_t)(i < a->length ? a->digits[i] : 0) + (i < b->length ? b->digits[i] : 0);
        n->digits[i] = (uint32_t)carry;
    }
    n->digits[longer] = (uint32_t)carry;
    return trimmed(n);
}

static int compared(const number *a, const number *b) {
    if (a->length != b->length) return a->length < b->length ? -1 : 1;
    for (size_t i = a->length; i--;)
        if (a->digits[i] != b->digits[i]) return a->digits[i] < b->digits[i] ? -1 : 1;
    return 0;
}

static number *difference(const number *a, const number *b) {
    number *n = room(a->length);
    int64_t borrow = 0;
    for (size_t i = 0; i < a->length; i++, borrow >>= 32) {
        borrow += (int64_t)a->digits[i] - (i < b->length ? b->digits[i] : 0);
        n->digits[i] = (uint32_t)borrow;
    }
    return trimmed(n);
}

static number *reduced(number *a, const number *modulus) {
    while (compared(a, modulus) >= 0) {
        number *less = difference(a, modulus);
        free(a);
        a = less;
    }
    return a;
}

int main(int argc, char **argv) {
    size_t steps = argument(argc, argv, 1, 8000000);
    enum { DIGITS = 6 };
    number *modulus = room(DIGITS), *now = room(1), *before = room(1);
    uint64_t rng = 9, check = 0, start = now_ns();
    for (size_t i = 0; i < DIGITS; i++) modulus->digits[i] = (uint32_t)splitmix64(&rng) | 1;
    now->digits[0] = before->digits[0] = 1;
    /* sqrt(m) = a0 + 1/(a1 + 1/...): the usual recurrence, here of a machine word; the convergents grow modulo `modulus`. */
    uint64_t m = 1000003 * 999983ull, root = 999992, p = 0, q = 1;
    for (size_t i = 0; i < steps; i++) {
        uint64_t a = (root + p) / q;
        p = a * q - p;
        q = (m - p * p) / q;
        number *times = product(now, (uint32_t)(a % 16)), *next = sum(times, before);
        free(times);
        free(before);
        before = now;
        now = reduced(next, modulus);
        check += now->length ? now->digits[0] : 0;
    }
    free(now);
    free(before);
    free(modulus);
    report(now_ns() - start, steps, check);
}
