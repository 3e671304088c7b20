/* Question: do libraries live and end as they should while memory is paged out: loaded and unloaded
 * thousands of times by several threads, bound lazily or at once, with RTLD_DEEPBIND, in a namespace of
 * their own, with constructors, destructors and resolvers that allocate, and blocks that cross?
 *
 * usage: libraries [bytes to page out] [rounds of loading]
 */
#include "common.h"

#include <dlfcn.h>

static size_t churn, rounds;
static char directory[4000];

/* What a plugin offers. */
struct plugin {
    void *library;
    uint64_t (*work)(uint64_t), (*touch)(uint64_t), (*square)(uint64_t);
    void *(*make)(size_t, uint64_t), *(*grow)(void *, size_t);
    uint64_t (*take)(void *, size_t, uint64_t);
    ssize_t (*transfer)(int *, void *, void *, size_t);
};

static void *find(void *library, const char *name)
{
    void *found = dlsym(library, name);
    CHECK(found != NULL, "%s", dlerror());
    return found;
}

static struct plugin load(const char *name, int flags, int own_namespace)
{
    char path[4096];
    /* By its name alone it is found through the program's DT_RUNPATH: the loader must see who asks. */
    snprintf(path, sizeof path, flags & RTLD_DEEPBIND ? "%.0s%s" : "%s/%s", directory, name);
    struct plugin it = {.library = own_namespace ? dlmopen(LM_ID_NEWLM, path, flags) : dlopen(path, flags)};
    CHECK(it.library != NULL, "%s", dlerror());
    it.work = find(it.library, "plugin_work"), it.touch = find(it.library, "plugin_touch");
    it.square = find(it.library, "plugin_square"), it.make = find(it.library, "plugin_make");
    it.grow = find(it.library, "plugin_grow"), it.take = find(it.library, "plugin_take");
    it.transfer = find(it.library, "plugin_transfer");
    return it;
}

static void unload(struct plugin *it)
{
    CHECK(dlclose(it->library) == 0, "%s", dlerror());
}

static const char *name_of(size_t round)
{
    return round % 2 ? "plugin.so" : "plugin-now.so";
}

/* A thread that loads a library, leaves it data to destroy, and may or may not unload it first. */
static void *visitor(void *parameter)
{
    uint64_t *sum = parameter;
    struct plugin it = load(name_of(*sum), *sum % 3 ? RTLD_LAZY : RTLD_NOW, 0);
    uint64_t number = *sum;
    *sum = it.work(number) + it.square(number);
    page_out(churn / 32);
    unload(&it);
    return NULL;
}

static void load_often(void)
{
    uint64_t sum = 0;
    size_t mappings = 0, used = 0;
    for (size_t i = 0; i < rounds; i++) {
        if (i == rounds / 4)
            mappings = lines("/proc/self/maps"), used = mallinfo2().uordblks;
        struct plugin it = load(name_of(i), i % 3 ? RTLD_LAZY : RTLD_NOW, 0);
        sum += it.touch(i);
        if (i % 8 == 0)
            page_out(churn / 8);
        sum += it.touch(i + 1);
        unload(&it);
    }
    size_t mapped = lines("/proc/self/maps"), left = mallinfo2().uordblks;
    CHECK(mapped < mappings + mappings / 4 + 100, "%zu mappings before, %zu after", mappings, mapped);
    CHECK(left < used + 64 * KIB, "%zu bytes in use before, %zu after", used, left);
    printf("loaded and unloaded: %016llx\n", (unsigned long long)sum);
}

static void *loader(void *parameter)
{
    uint64_t *sum = parameter;
    for (size_t i = 0; i < rounds / 16; i++) {
        uint64_t here = *sum + i;
        pthread_join(start(visitor, &here), NULL);
        *sum += here;
    }
    return NULL;
}

static void load_in_threads(void)
{
    pthread_t threads[4];
    uint64_t sums[4], total = 0;
    for (int i = 0; i < 4; i++)
        sums[i] = i * 1000, threads[i] = start(loader, &sums[i]);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL), total += sums[i];
    printf("in threads that come and go: %016llx\n", (unsigned long long)total);
}

/* Blocks made on one side, enlarged on the other, freed on either. */
static uint64_t cross(struct plugin *it)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < 40; i++) {
        size_t size = i % 4 == 3 ? 300000 : 100 << i % 8;
        unsigned char *theirs = it->make(size, i), *ours = must_malloc(size), *grown = it->make(size, i + 1);
        fill(ours, size, i);
        page_out(i % 8 ? churn / 16 : churn);
        sum += verify(theirs, size, i, "a library's block");
        free(theirs);
        sum += it->take(ours, size, i);
        grown = i % 2 ? it->grow(realloc(grown, 2 * size), 3 * size) : realloc(it->grow(grown, 2 * size), 3 * size);
        sum += verify(grown, size, i + 1, "a block that grew on both sides");
        free(grown);
    }
    return sum;
}

static void deep(void)
{
    struct plugin it = load("plugin.so", RTLD_LAZY | RTLD_DEEPBIND, 0);
    uint64_t sum = cross(&it) + it.work(5);
    printf("RTLD_DEEPBIND: %016llx\n", (unsigned long long)sum);
    unload(&it);
}

/* A namespace has a C library of its own, so blocks do not cross, but bytes and calls do. */
static void apart(void)
{
    struct plugin it = load("plugin.so", RTLD_NOW, 1);
    int ends[2];
    CHECK(pipe(ends) == 0, "pipe");
    uint64_t sum = 0;
    for (size_t i = 0; i < 20; i++) {
        unsigned char *from = must_malloc(20000), *to = must_malloc(20000);
        fill(from, 20000, i);
        void *theirs = it.make(50000, i);
        page_out(churn / 2);
        CHECK(it.transfer(ends, from, to, 20000) == 20000, "a transfer in a namespace");
        sum += verify(to, 20000, i, "a namespace's transfer") + it.touch(i) + it.take(it.grow(theirs, 60000), 50000, i);
        free(from), free(to);
    }
    printf("dlmopen: %016llx\n", (unsigned long long)sum);
    unload(&it);
}

static void *busy(void *parameter)
{
    for (;;)
        page_out((size_t)parameter);
    return NULL;
}

int main(int argc, char **argv)
{
    churn = argument(argc, argv, 1, 12 * MIB);
    rounds = argument(argc, argv, 2, 2000);
    ssize_t length = readlink("/proc/self/exe", directory, sizeof directory - 20);
    CHECK(length > 0, "/proc/self/exe");
    directory[length] = '\0';
    strcpy(strrchr(directory, '/'), "/lib");
    unsigned char *heap = must_malloc(1 * MIB);
    fill(heap, 1 * MIB, 1);
    page_out(churn);
    load_often();
    load_in_threads();
    deep();
    apart();
    verify(heap, 1 * MIB, 1, "the heap at the end");
    /* These stay until the end of the process, while others fault. */
    struct plugin lazy = load("plugin.so", RTLD_LAZY | RTLD_GLOBAL, 0), now = load("plugin-now.so", RTLD_NOW, 0);
    printf("at the end: %016llx\n", (unsigned long long)(lazy.work(7) + now.work(8)));
    fflush(stdout);
    start(busy, (void *)(churn / 8));
    page_out(churn);
    return 0;
}
