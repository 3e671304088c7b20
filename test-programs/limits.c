/* Question: does memory that malloc has promised stay usable when the program lowers a limit of its own later, and may not
 * raise it again? It fills blocks, gives up its privileges, lowers the limit to what it uses or below, and then reads and writes
 * all of them, in a child too.
 *
 * usage: limits fsize|as|data|nofile|memlock|stack|nproc|rss hard|soft VALUE [BYTES]
 */
#include "common.h"
#include <sys/resource.h>
#include <sys/wait.h>

enum { BLOCKS = 64 };

static unsigned char *blocks[BLOCKS];
static size_t size;

static void use_all(int round)
{
    for (int i = 0; i < BLOCKS; i++) {
        for (size_t at = 0; at < size; at += 512)
            if (blocks[i][at] != (unsigned char)(i + round))
                fail("round %d: byte %zu of block %d is another", round, at, i);
        memset(blocks[i], i + round + 1, size);
    }
}

/* Forks so deep; parents and children use the same blocks, each its own. */
static void generations(int deep, int round)
{
    pid_t child = deep > 0 ? fork() : 0;
    CHECK(child >= 0, "fork");
    use_all(round);
    use_all(round + 1);
    if (child == 0 && deep > 0) {
        generations(deep - 1, round + 2);
        _exit(7);
    }
    int status = 7 << 8;
    CHECK(child == 0 || waitpid(child, &status, 0) == child, "waitpid");
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7, "status %x of the child of generation %d", status, deep);
}

int main(int argc, char **argv)
{
    static const struct { const char *name; int which; } LIMITS[] = {
        {"fsize", RLIMIT_FSIZE}, {"as", RLIMIT_AS}, {"data", RLIMIT_DATA}, {"nofile", RLIMIT_NOFILE},
        {"memlock", RLIMIT_MEMLOCK}, {"stack", RLIMIT_STACK}, {"nproc", RLIMIT_NPROC}, {"rss", RLIMIT_RSS},
    };
    if (argc < 4)
        fail("usage");
    size = (argc > 4 ? strtoul(argv[4], NULL, 10) : 12 * MIB) / BLOCKS;
    for (int i = 0; i < BLOCKS; i++)
        memset(blocks[i] = malloc(size), i, size);
    if (getuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        fail("cannot give up privileges");
    for (size_t i = 0; i < sizeof LIMITS / sizeof *LIMITS; i++)
        if (strcmp(argv[1], LIMITS[i].name) == 0) {
            struct rlimit limit, found;
            getrlimit(LIMITS[i].which, &limit);
            limit.rlim_cur = strtoul(argv[3], NULL, 10);
            if (strcmp(argv[2], "hard") == 0)
                limit.rlim_max = limit.rlim_cur;
            if (strcmp(argv[1], "nofile") == 0)
                while (dup(2) >= 0) /* every number that the limit before allowed is in use */
                    ;
            CHECK(setrlimit(LIMITS[i].which, &limit) == 0, "setrlimit");
            CHECK(getrlimit(LIMITS[i].which, &found) == 0 && found.rlim_cur == limit.rlim_cur && found.rlim_max == limit.rlim_max,
                "another limit was set");
        }
    use_all(0);
    use_all(1);
    said("bytes are there");
    said("a child and a grandchild");
    generations(2, 2);
    return 0;
}
