/* Question: do waits and messages between threads and processes work when what the kernel waits on,
 * or copies to, lies in heap pages that come and go: futexes, message queues, timers, events?
 *
 * usage: calls_sync [bytes to page out]
 */
#include "common.h"

#include <fcntl.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <signal.h>
#include <time.h>

static size_t churn;

/* A lock, a condition and a semaphore in the heap, each on its own page. */
struct meeting {
    pthread_mutex_t mutex;
    char space1[PAGE];
    pthread_cond_t condition;
    char space2[PAGE];
    sem_t semaphore;
    char space3[PAGE];
    pthread_rwlock_t rwlock;
    pthread_barrier_t barrier;
    long turn, counter, written;
};

enum { PLAYERS = 3, TURNS = 60 };
static struct meeting *meeting;

static void *player(void *parameter)
{
    long me = (long)parameter;
    for (int i = 0; i < TURNS; i++) {
        pthread_mutex_lock(&meeting->mutex);
        while (meeting->turn % PLAYERS != me)
            pthread_cond_wait(&meeting->condition, &meeting->mutex);
        meeting->turn++;
        pthread_cond_broadcast(&meeting->condition);
        pthread_mutex_unlock(&meeting->mutex);
        if (i % 20 == me)
            page_out(churn / PLAYERS);
    }
    for (int i = 0; i < 2000; i++) {
        sem_wait(&meeting->semaphore);
        meeting->counter++;
        sem_post(&meeting->semaphore);
        pthread_rwlock_wrlock(&meeting->rwlock);
        meeting->written++;
        pthread_rwlock_unlock(&meeting->rwlock);
    }
    pthread_barrier_wait(&meeting->barrier);
    return NULL;
}

static void futexes(void)
{
    pthread_t players[PLAYERS];
    meeting = calloc(1, sizeof *meeting);
    CHECK(meeting != NULL, "calloc");
    pthread_mutex_init(&meeting->mutex, NULL);
    pthread_cond_init(&meeting->condition, NULL);
    sem_init(&meeting->semaphore, 0, 1);
    pthread_rwlock_init(&meeting->rwlock, NULL);
    pthread_barrier_init(&meeting->barrier, NULL, PLAYERS + 1);
    for (long i = 0; i < PLAYERS; i++)
        players[i] = start(player, (void *)i);
    for (int i = 0; i < 4; i++)
        page_out(churn / 2);
    pthread_barrier_wait(&meeting->barrier);
    for (int i = 0; i < PLAYERS; i++)
        pthread_join(players[i], NULL);
    CHECK(meeting->turn == PLAYERS * TURNS && meeting->counter == PLAYERS * 2000 && meeting->written == PLAYERS * 2000,
          "%ld turns, counted %ld, wrote %ld", meeting->turn, meeting->counter, meeting->written);
    struct timespec *deadline = must_malloc(sizeof *deadline);
    clock_gettime(CLOCK_REALTIME, deadline);
    deadline->tv_sec += deadline->tv_nsec >= 950000000;
    deadline->tv_nsec = (deadline->tv_nsec + 50000000) % 1000000000;
    pthread_mutex_lock(&meeting->mutex);
    page_out(churn);
    CHECK(pthread_cond_timedwait(&meeting->condition, &meeting->mutex, deadline) == ETIMEDOUT, "timed wait");
    pthread_mutex_unlock(&meeting->mutex);
    free(deadline);
    free(meeting);
    said("mutex, condition, semaphore, rwlock, barrier in the heap");
}

static void *eight_bytes(void)
{
    uint64_t *value = must_malloc(sizeof *value);
    *value = UINT64_MAX;
    page_out(churn);
    return value;
}

/* What these give is given once: a call that failed on its buffer would lose it. */
static void counters(void)
{
    int event = eventfd(0, EFD_NONBLOCK);
    uint64_t *value;
    for (uint64_t i = 1; i <= 5; i++) {
        value = must_malloc(sizeof *value);
        *value = 100 * i;
        page_out(churn);
        CHECK(write(event, value, 8) == 8, "eventfd write");
        free(value);
        value = eight_bytes();
        CHECK(read(event, value, 8) == 8 && *value == 100 * i, "eventfd read");
        free(value);
    }
    close(event);
    int timer = timerfd_create(CLOCK_MONOTONIC, 0);
    struct itimerspec *when = calloc(1, sizeof *when), *left = malloc(sizeof *left);
    when->it_value.tv_nsec = 1000000;
    page_out(churn);
    CHECK(timerfd_settime(timer, 0, when, left) == 0 && left->it_value.tv_nsec == 0, "timerfd_settime");
    value = eight_bytes();
    CHECK(read(timer, value, 8) == 8 && *value == 1, "timerfd read");
    free(value), free(when), free(left);
    close(timer);
    said("eventfd, timerfd");
}

static void notices(void)
{
    sigset_t *set = must_malloc(sizeof *set);
    sigemptyset(set), sigaddset(set, SIGUSR2);
    page_out(churn);
    CHECK(pthread_sigmask(SIG_BLOCK, set, NULL) == 0, "pthread_sigmask");
    int file = signalfd(-1, set, 0);
    raise(SIGUSR2);
    struct signalfd_siginfo *info = must_malloc(sizeof *info);
    memset(info, 0, sizeof *info);
    page_out(churn);
    CHECK(read(file, info, sizeof *info) == sizeof *info && info->ssi_signo == SIGUSR2, "signalfd");
    close(file);
    raise(SIGUSR2);
    siginfo_t *waited = must_malloc(sizeof *waited);
    page_out(churn);
    CHECK(sigwaitinfo(set, waited) == SIGUSR2 && waited->si_signo == SIGUSR2, "sigwaitinfo");
    CHECK(pthread_sigmask(SIG_UNBLOCK, set, NULL) == 0, "pthread_sigmask");

    char *path = strdup("/tmp/calls_sync.XXXXXX");
    file = mkstemp(path);
    int watch = inotify_init1(0);
    page_out(churn);
    CHECK(inotify_add_watch(watch, path, IN_MODIFY) >= 0, "inotify_add_watch");
    CHECK(write(file, "x", 1) == 1, "write");
    struct inotify_event *event = must_malloc(4096);
    page_out(churn);
    CHECK(read(watch, event, 4096) == sizeof *event && event->mask == IN_MODIFY, "inotify");
    close(watch), close(file), unlink(path);
    free(set), free(info), free(waited), free(path), free(event);
    said("signalfd, sigwaitinfo, inotify");
}

static void queue(void)
{
    struct item {
        long type;
        unsigned char bytes[3000];
    } *item;
    int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
    if (id < 0) {   /* a kernel without System V queues: the same in both runs */
        said("message queues not available");
        return;
    }
    for (int i = 0; i < 8; i++) {
        item = must_malloc(sizeof *item);
        item->type = 1 + i % 2;
        fill(item->bytes, sizeof item->bytes, i);
        page_out(churn);
        CHECK(msgsnd(id, item, sizeof item->bytes, 0) == 0, "msgsnd");
        memset(item, 0, sizeof *item);
        page_out(churn);
        CHECK(msgrcv(id, item, sizeof item->bytes, 0, 0) == sizeof item->bytes, "msgrcv");
        CHECK(item->type == 1 + i % 2, "message type");
        verify(item->bytes, sizeof item->bytes, i, "msgrcv");
        free(item);
    }
    struct msqid_ds *status = must_malloc(sizeof *status);
    page_out(churn);
    CHECK(msgctl(id, IPC_STAT, status) == 0 && status->msg_qnum == 0, "msgctl");
    msgctl(id, IPC_RMID, NULL);
    free(status);
    said("message queues");
}

static void odds_and_ends(void)
{
    unsigned char *noise = calloc(1, 200000);
    CHECK(noise != NULL, "calloc");
    page_out(churn);
    size_t had = 0;
    while (had < 200000) {
        ssize_t count = getrandom(noise + had, 200000 - had, 0);
        CHECK(count > 0, "getrandom");
        had += count;
    }
    size_t zeros = 0;
    for (size_t i = 0; i < 200000; i++)
        zeros += noise[i] == 0;
    CHECK(zeros < 2000, "getrandom left %zu zeros", zeros);
    free(noise);
    cpu_set_t *cpus = must_malloc(sizeof *cpus);
    page_out(churn);
    CHECK(sched_getaffinity(0, sizeof *cpus, cpus) == 0 && CPU_COUNT(cpus) > 0, "sched_getaffinity");
    free(cpus);
    struct timespec *pause = must_malloc(sizeof *pause);
    *pause = (struct timespec){0, 1000000};
    page_out(churn);
    CHECK(nanosleep(pause, pause) == 0, "nanosleep");
    free(pause);
    said("getrandom, sched_getaffinity, nanosleep");
}

int main(int argc, char **argv)
{
    churn = argument(argc, argv, 1, 12 * MIB);
    futexes();
    counters();
    notices();
    queue();
    odds_and_ends();
    return 0;
}
