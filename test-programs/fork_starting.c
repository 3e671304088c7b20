/* Does a child that is forked while another thread is starting have a whole heap?
 *
 * One thread starts and joins threads all the time, so that regions are being made and taken over
 * at the moment of the fork; each child allocates and frees. fork_starting [FORKS] */
#include "common.h"
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int stop;

static void *tiny(void *argument)
{
    free(malloc(100));
    return argument;
}

static void *starter(void *argument)
{
    while (!stop) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, tiny, NULL) == 0)
            pthread_join(thread, NULL);
    }
    return argument;
}

int main(int argc, char **argv)
{
    int forks = argc > 1 ? atoi(argv[1]) : 200;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, starter, NULL) == 0, "pthread_create");
    for (int i = 0; i < forks; i++) {
        pid_t child = fork();
        CHECK(child >= 0, "fork");
        if (child == 0) {
            for (int size = 0; size < 50; size++)
                free(malloc(64 * size + 1));
            _exit(7);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7, "status %#x", status);
    }
    stop = 1;
    pthread_join(thread, NULL);
    printf("%d children allocated\n", forks);
    return 0;
}
