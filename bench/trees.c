/* trees: how fast are trees built, searched and felled?
 *
 * balanced: complete binary trees of many depths, built and felled while a large one stays (as in the Computer Language
 * Benchmarks Game's binary-trees); search: an unbalanced search tree whose nodes carry a text, random keys put in and
 * taken out, felled at last.
 *
 * trees balanced|search [DEPTH, or operations] */
#include "bench.h"
#include <string.h>

struct node {
    struct node *left, *right;
    uint64_t value;
};

static struct node *grown(size_t depth) {
    struct node *node = must(malloc(sizeof *node), "malloc");
    *node = (struct node){.value = depth};
    if (depth) *node = (struct node){grown(depth - 1), grown(depth - 1), depth};
    return node;
}

static uint64_t felled(struct node *node) {
    if (!node) return 0;
    uint64_t sum = node->value + felled(node->left) + felled(node->right);
    free(node);
    return sum;
}

static uint64_t balanced(size_t depth) {
    struct node *lasting = grown(depth);
    uint64_t check = 0;
    for (size_t low = 4; low <= depth; low += 2)
        for (size_t times = (size_t)1 << (depth - low + 4); times; times--) check += felled(grown(low));
    return check + felled(lasting);
}

struct entry {
    struct entry *left, *right;
    uint64_t key;
    char *text;
};

static struct entry **find(struct entry **at, uint64_t key) {
    while (*at && (*at)->key != key) at = key < (*at)->key ? &(*at)->left : &(*at)->right;
    return at;
}

static void put(struct entry **at, uint64_t key, uint64_t *rng) {
    size_t length = between(rng, 1, 60);
    *at = must(malloc(sizeof **at), "malloc");
    **at = (struct entry){.key = key, .text = must(malloc(length + 1), "malloc")};
    memset((*at)->text, 'a' + (int)(key % 26), length);
    (*at)->text[length] = 0;
}

static uint64_t take(struct entry **at) {
    struct entry *gone = *at, **next = &gone->right;
    if (!gone->left || !gone->right) {
        *at = gone->left ? gone->left : gone->right;
    } else { /* the least of the greater ones takes its place */
        while ((*next)->left) next = &(*next)->left;
        struct entry *heir = *next;
        *next = heir->right;
        heir->left = gone->left;
        heir->right = gone->right;
        *at = heir;
    }
    uint64_t length = strlen(gone->text);
    free(gone->text);
    free(gone);
    return length;
}

static uint64_t search(size_t operations) {
    struct entry *root = NULL;
    uint64_t rng = 8, check = 0;
    for (size_t i = 0; i < operations; i++) {
        uint64_t key = below(&rng, 200000) * 2654435761u % 4294967291u;
        struct entry **at = find(&root, key);
        if (*at) check += take(at);
        else put(at, key, &rng);
    }
    while (root) check += take(&root);
    return check;
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        uint64_t (*run)(size_t);
        size_t size;
    } kinds[] = {{"balanced", balanced, 17}, {"search", search, 800000}};
    for (size_t i = 0; argc > 1 && i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(argv[1], kinds[i].name)) continue;
        size_t size = argument(argc, argv, 2, kinds[i].size);
        uint64_t start = now_ns(), check = kinds[i].run(size);
        report(now_ns() - start, size, check);
        return 0;
    }
    usage("trees balanced|search [DEPTH, or operations]");
}
