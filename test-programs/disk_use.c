/* Question: does a process that may use a large swap file, and has children, take only the disk that it uses?
 *
 * usage: disk_use [bytes to use] [bytes that the files of one process may have]
 */
#include "common.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* What the open files of this process have on disk, or in memory as files. */
static size_t taken(void)
{
    size_t total = 0;
    DIR *directory = opendir("/proc/self/fd");
    CHECK(directory != NULL, "/proc/self/fd");
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char path[300];
        struct stat file;
        snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
        if (stat(path, &file) == 0 && S_ISREG(file.st_mode) && file.st_nlink == 0)
            total += (size_t)file.st_blocks * 512;
    }
    closedir(directory);
    return total;
}

static void use(size_t bytes, size_t limit, const char *who)
{
    unsigned char *block = must_malloc(bytes);
    fill(block, bytes, bytes);
    size_t now = taken();
    CHECK(now <= limit, "%s: %zu bytes, expected at most %zu", who, now, limit);
    verify(block, bytes, bytes, who);
}

int main(int argc, char **argv)
{
    size_t bytes = argument(argc, argv, 1, 12 * MIB), limit = argument(argc, argv, 2, 80 * MIB);
    use(bytes / 2, limit, "before");
    for (int i = 0; i < 3; i++) {
        pid_t child = fork();
        CHECK(child >= 0, "fork: %s", strerror(errno));
        if (child == 0) {
            use(bytes / 2, limit, "a child");
            _exit(0);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == 0, "status %x", status);
    }
    use(bytes, limit, "at the end");
    said("only what is used");
    return 0;
}
