/* Does a program keep its swap file when it can no longer reach the directory?
 *
 * Servers give up privileges, change their root or forbid themselves to open files, before they need
 * more than the arena. Here the directory that VMALLOC_SWAP_DIR names is moved away, from parent and
 * child. moved_away DIRECTORY [BYTES] */
#include "common.h"
#include <sys/stat.h>
#include <sys/wait.h>

static void use(size_t bytes, uint64_t key)
{
    char *block = must_malloc(bytes);
    fill(block, bytes, key);
    page_out(bytes);
    verify(block, bytes, key, "own block");
    free(block);
}

int main(int argc, char **argv)
{
    CHECK(argc > 1, "no directory given");
    size_t bytes = argument(argc, argv, 2, 6 * MIB);
    char *early = must_malloc(64 * KIB), moved[4096];
    fill(early, 64 * KIB, 1);
    snprintf(moved, sizeof moved, "%s.moved", argv[1]);
    mkdir(argv[1], 0700);
    CHECK(rename(argv[1], moved) == 0, "rename");
    for (int child = 0; child < 3; child++) {
        /* The first child is made before the parent has swapped anything. */
        pid_t pid = fork();
        CHECK(pid >= 0, "fork");
        if (pid == 0) {
            use(bytes, 2);
            verify(early, 64 * KIB, 1, "block of the parent");
            _exit(0);
        }
        int status;
        CHECK(waitpid(pid, &status, 0) == pid && status == 0, "child: status %x", status);
        said("child");
        use(bytes, 3);
        verify(early, 64 * KIB, 1, "early block");
        said("parent");
    }
    CHECK(rename(moved, argv[1]) == 0, "rename back");
    return 0;
}
