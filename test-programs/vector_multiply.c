/* Question: does the classic scalar product of two vectors, each thread taking every n-th element,
 * come out right? 1,000 elements give 332833500; more make it page.
 *
 * usage: vector_multiply [elements] [threads]
 */
#include "common.h"

static size_t elements, threads;
static int *left, *right;

static void *multiply(void *parameter)
{
    unsigned int *sum = must_malloc(sizeof *sum);
    *sum = 0;
    for (size_t i = (size_t)parameter; i < elements; i += threads)
        *sum += (unsigned int)left[i] * (unsigned int)right[i];
    return sum;
}

int main(int argc, char **argv)
{
    elements = argument(argc, argv, 1, 1000);
    threads = argument(argc, argv, 2, 4);
    left = must_malloc(elements * sizeof *left);
    right = must_malloc(elements * sizeof *right);
    for (size_t i = 0; i < elements; i++)
        left[i] = right[i] = (int)i;
    pthread_t *handles = must_malloc(threads * sizeof *handles);
    for (size_t i = 0; i < threads; i++)
        handles[i] = start(multiply, (void *)i);
    unsigned int sum = 0;
    for (size_t i = 0; i < threads; i++) {
        void *part;
        pthread_join(handles[i], &part);
        sum += *(unsigned int *)part;
        free(part);
    }
    printf("%d\n", (int)sum);
    free(handles);
    free(left);
    free(right);
    return 0;
}
