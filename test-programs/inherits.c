/* Not a question but a witness: what a program that is executed finds. Executed by executes.c; also
 * linked statically (inherits-static), which no preloading reaches.
 */
#include "common.h"

#include <dirent.h>
#include <sys/auxv.h>

static void print_line(const char *path, const char *prefix)
{
    char line[512];
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, prefix, strlen(prefix)) == 0)
            printf("  %s", line);
    if (file != NULL)
        fclose(file);
}

static int is_mapped(const char *name)
{
    char line[512];
    int found = 0;
    FILE *file = fopen("/proc/self/maps", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        found |= strstr(line, name) != NULL;
    if (file != NULL)
        fclose(file);
    return found;
}

int main(int argc, char **argv)
{
    /* All but its own name, which may be that of a script or of a copy. */
    uint64_t sum = 0;
    for (int i = 1; i < argc; i++)
        for (const char *at = argv[i]; *at != '\0' && strchr(argv[i], '/') == NULL; at++)
            sum = mix(sum ^ (unsigned char)*at);
    printf("  %d arguments: %016llx\n", argc, (unsigned long long)sum);
    const char *text = getenv("TEST_TEXT");
    for (sum = 0; text != NULL && *text != '\0'; text++)
        sum = mix(sum ^ (unsigned char)*text);
    printf("  environment: %016llx\n", (unsigned long long)sum);
    printf("  secure %d, other user %d, preloaded %d, descriptors", (int)getauxval(AT_SECURE), getuid() != geteuid(), is_mapped("vmalloc.so"));
    DIR *directory = opendir("/proc/self/fd");
    CHECK(directory != NULL, "/proc/self/fd");
    int numbers[64] = {0};
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (atoi(entry->d_name) > 2 && atoi(entry->d_name) != dirfd(directory))
            numbers[atoi(entry->d_name) % 64] = atoi(entry->d_name);
    closedir(directory);
    for (int i = 0; i < 64; i++)
        if (numbers[i] != 0)
            printf(" %d", numbers[i]);
    printf("\n");
    print_line("/proc/self/status", "SigBlk");
    print_line("/proc/self/status", "SigIgn");
    print_line("/proc/self/status", "Seccomp:");
    void *block = malloc(3000000);
    CHECK(block != NULL, "malloc");
    fill(block, 3000000, 1);
    verify(block, 3000000, 1, "a block of the executed program");
    free(block);
    return 21;
}
