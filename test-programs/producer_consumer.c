/* Question: do messages survive being written by one thread, paged out while they queue, verified
 * and freed by another?
 *
 * The queue fills to its depth before the consumers drain it, so that more than the arena is in
 * flight. usage: producer_consumer [producers] [consumers] [messages each] [bytes in flight]
 */
#include "common.h"

enum { MAX_THREADS = 32, MESSAGE_MAX = 12000, AVERAGE = 6000 };

struct message {
    uint64_t key;
    size_t size;
    unsigned char bytes[];
};

static struct message **queue;
static size_t producers, consumers, messages, depth, count, head, live_producers;
static int draining;
static uint64_t sum;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void *produce(void *parameter)
{
    uint64_t random = (size_t)parameter * 7919;
    for (size_t i = 0; i < messages; i++) {
        size_t size = between(&random, 1, MESSAGE_MAX);
        struct message *message = must_malloc(sizeof *message + size);
        message->key = next_random(&random);
        message->size = size;
        fill(message->bytes, size, message->key);
        pthread_mutex_lock(&mutex);
        while (draining)
            pthread_cond_wait(&changed, &mutex);
        queue[(head + count++) % depth] = message;
        if (count == depth) {
            draining = 1;
            pthread_cond_broadcast(&changed);
        }
        pthread_mutex_unlock(&mutex);
    }
    pthread_mutex_lock(&mutex);
    if (--live_producers == 0) {
        draining = 1;
        pthread_cond_broadcast(&changed);
    }
    pthread_mutex_unlock(&mutex);
    return NULL;
}

/* The next message, or NULL when there will be no more. */
static struct message *take(void)
{
    struct message *message = NULL;
    pthread_mutex_lock(&mutex);
    while (!draining)
        pthread_cond_wait(&changed, &mutex);
    if (count > 0) {
        message = queue[head];
        head = (head + 1) % depth;
        count--;
    }
    if (count <= depth / 4 && live_producers > 0) {
        draining = 0;
        pthread_cond_broadcast(&changed);
    }
    pthread_mutex_unlock(&mutex);
    return message;
}

static void *consume(void *unused)
{
    struct message *message;
    uint64_t mine = 0;
    while ((message = take()) != NULL) {
        mine += verify(message->bytes, message->size, message->key, "the consumer");
        free(message);
    }
    pthread_mutex_lock(&mutex);
    sum += mine;
    pthread_mutex_unlock(&mutex);
    return unused;
}

int main(int argc, char **argv)
{
    producers = argument(argc, argv, 1, 2);
    consumers = argument(argc, argv, 2, 2);
    messages = argument(argc, argv, 3, 4000);
    depth = argument(argc, argv, 4, 12 * MIB) / AVERAGE + 1;
    CHECK(producers + consumers <= MAX_THREADS, "at most %d threads", MAX_THREADS);
    live_producers = producers;
    queue = must_malloc(depth * sizeof *queue);
    pthread_t handles[MAX_THREADS];
    for (size_t i = 0; i < producers; i++)
        handles[i] = start(produce, (void *)(i + 1));
    for (size_t i = 0; i < consumers; i++)
        handles[producers + i] = start(consume, NULL);
    for (size_t i = 0; i < producers + consumers; i++)
        pthread_join(handles[i], NULL);
    CHECK(count == 0, "%zu messages left", count);
    printf("producer_consumer %zu messages: %016llx\n", producers * messages, (unsigned long long)sum);
    free(queue);
    return 0;
}
