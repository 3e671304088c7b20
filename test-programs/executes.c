/* Question: does a program that pages execute any other, from the main thread and from another, while
 * threads fault: a statically linked one, a setuid one, a script; and do these find nothing of ours?
 *
 * usage: executes [bytes to page out]
 */
#include "common.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

static size_t churn;
static char directory[4000], copies[64];

static void *busy(void *parameter)
{
    for (;;)
        page_out((size_t)parameter);
    return NULL;
}

/* Its arguments and its environment are blocks that have been paged out. */
struct order {
    char *path, **arguments, **environment;
};

static struct order *order_of(const char *path)
{
    struct order *order = must_malloc(sizeof *order);
    size_t variables = 0;
    while (environ[variables] != NULL)
        variables++;
    *order = (struct order){strdup(path), calloc(60, sizeof(char *)), calloc(variables + 2, sizeof(char *))};
    order->arguments[0] = strdup("name");
    for (int i = 1; i < 40; i++) {
        order->arguments[i] = must_malloc(1000 + 100 * i);
        memset(order->arguments[i], 'a' + i % 26, 999 + 100 * i), order->arguments[i][999 + 100 * i] = '\0';
    }
    for (size_t i = 0; i < variables; i++)
        order->environment[i] = strdup(environ[i]);
    char *text = order->environment[variables] = must_malloc(20000);
    memset(text, 'x', 19999), memcpy(text, "TEST_TEXT=", 10), text[19999] = '\0';
    return order;
}

static void *execute(void *parameter)
{
    struct order *order = parameter;
    execve(order->path, order->arguments, order->environment);
    _exit(errno);
}

static void run(const char *what, const char *path)
{
    struct order *order = order_of(path);
    for (int by_thread = 0; by_thread < 2; by_thread++) {
        page_out(churn);
        printf("%s, executed by %s\n", what, by_thread ? "a thread" : "main");
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            start(busy, (void *)(churn / 8));
            page_out(churn);
            sigset_t set;
            sigemptyset(&set), sigaddset(&set, SIGSEGV), sigaddset(&set, SIGUSR2);
            pthread_sigmask(SIG_SETMASK, &set, NULL);
            signal(SIGINT, SIG_IGN);
            if (by_thread)
                pthread_join(start(execute, order), NULL);
            execute(order);
        }
        int status;
        CHECK(child > 0 && waitpid(child, &status, 0) == child, "waitpid");
        printf("  status %x\n", status);
    }
}

static const char *in(const char *where, const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", where, name);
    return path;
}

/* A copy that runs as nobody. Where there are no setuid programs it is an ordinary one, and left out. */
static int make_setuid(const char *from, const char *to)
{
    char command[9000];
    snprintf(command, sizeof command, "cp %s %s && chown 65534 %s && chmod 4755 %s", from, to, to, to);
    return geteuid() == 0 && system(command) == 0;
}

int main(int argc, char **argv)
{
    churn = argument(argc, argv, 1, 12 * MIB);
    ssize_t length = readlink("/proc/self/exe", directory, sizeof directory - 1);
    CHECK(length > 0, "/proc/self/exe");
    directory[length] = '\0', *strrchr(directory, '/') = '\0';
    snprintf(copies, sizeof copies, "/tmp/executes.XXXXXX");
    CHECK(mkdtemp(copies) != NULL && chmod(copies, 0755) == 0, "mkdtemp");
    page_out(churn);
    run("a static program", in(directory, "inherits-static"));
    char script[100], copy[100];
    snprintf(script, sizeof script, "%s/script", copies);
    FILE *file = fopen(script, "w");
    CHECK(file != NULL && fprintf(file, "#!%s/inherits-static word\n", directory) > 0 && fclose(file) == 0, "%s", script);
    chmod(script, 0755);
    run("a script", script);
    snprintf(copy, sizeof copy, "%s/copy", copies);
    if (make_setuid(in(directory, "inherits"), copy))
        run("a setuid program", copy);
    unlink(script), unlink(copy), rmdir(copies);
    return 0;
}
