/* Does a live region count what is known of the policies? Replays the traces of test-data/oracles on memory
 * that really faults; misses, write-backs, swap-ins, reference and dirty faults must be equal.
 *
 *     paged_traces ORACLES [files] [LARGEST]     traces of more than LARGEST references are left out
 *
 * Every page holds a count of its stores, which is checked at every touch. */
#include "../common.h"
#include <paged_region.h>
#include <sys/resource.h>

struct reference {
    unsigned page;
    int write;
};

static struct reference *references;
static size_t count, pages;

static void load(const char *oracles, const char *trace)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/traces/%s.txt", oracles, trace);
    FILE *file = fopen(path, "r");
    CHECK(file, "%s", path);
    unsigned page;
    char kind;
    count = pages = 0;
    free(references);
    size_t room = 1024;
    references = malloc(room * sizeof *references);
    while (fscanf(file, "%u %c", &page, &kind) == 2) {
        if (count == room)
            references = realloc(references, (room *= 2) * sizeof *references);
        CHECK(references, "no memory");
        references[count++] = (struct reference){page, kind == 'w'};
        if (page >= pages)
            pages = page + 1;
    }
    fclose(file);
}

int main(int argc, char **argv)
{
    CHECK(argc >= 2, "usage: paged_traces ORACLES [files] [LARGEST]");
    int files = argc > 2 && strcmp(argv[2], "files") == 0;
    size_t largest = argc > 2 + files ? strtoul(argv[2 + files], NULL, 10) : SIZE_MAX;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    char line[1024], loaded[64] = "";
    snprintf(line, sizeof line, "%s/expected.csv", argv[1]);
    FILE *table = fopen(line, "r");
    CHECK(table && fgets(line, sizeof line, table), "no expected.csv");
    int rows = 0;
    while (fgets(line, sizeof line, table)) {
        char *field[16] = {0}, *rest = line;
        for (int i = 0; i < 16; i++)
            field[i] = strsep(&rest, ",\n");
        const char *policy = strcmp(field[1], "third") == 0 ? "third-chance" : field[1];
        if (strcmp(policy, "fifo") && strcmp(policy, "clock") && strcmp(policy, "third-chance"))
            continue;
        if (strtoul(field[3], NULL, 10) > largest)
            continue;
        if (strcmp(loaded, field[0]))
            load(argv[1], strcpy(loaded, field[0]));
        struct paged_region_options options = {
            .pages = pages, .max_pages = strtoul(field[2], NULL, 10), .policy = policy, .backing = files ? PAGED_FILES : PAGED_SWAP,
        };
        struct paged_region *region = paged_region_create(&options);
        CHECK(region, "no region of %zu pages", pages);
        volatile char *memory = paged_region_base(region);
        uint32_t *stores = calloc(pages, sizeof *stores);
        for (size_t i = 0; i < count; i++) {
            volatile uint32_t *at = (void *)(memory + references[i].page * (size_t)PAGE + 8 * (references[i].page % 500));
            if (references[i].write)
                *at = ++stores[references[i].page];
            else
                CHECK(*at == stores[references[i].page], "page %u of %s", references[i].page, line);
        }
        struct paged_region_counts counts;
        CHECK(paged_region_count(region, &counts) == 0, "no counts");
        unsigned long found[] = {counts.first_touches + counts.swap_ins, counts.write_backs, counts.drops, counts.swap_ins,
                                 counts.references, counts.first_writes};
        static const int column[] = {4, 8, 9, 10, 11, 12};
        for (int i = 0; i < 6; i++)
            CHECK(found[i] == strtoul(field[column[i]], NULL, 10), "%s, %s, %s frames: column %d is %lu, not %s", field[0],
                  policy, field[2], column[i], found[i], field[column[i]]);
        CHECK(paged_region_destroy(region) == 0, "destroyed");
        free(stores);
        rows++;
    }
    printf("%d rows\n", rows);
    return rows == 0;
}
