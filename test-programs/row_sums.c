/* Question: does the classic sum over the rows of a matrix, rows shared among threads, come out
 * right? R * sum(j * j, j < C), modulo 2^32, as an int: R=1000 C=1000 2121018208, R=1000 C=4000
 * 821375360, R=40 C=100000 69054848, R=50 C=100000 -2061165088.
 *
 * usage: row_sums [rows] [columns] [threads]
 */
#include "common.h"

static size_t rows, columns, threads;
static int **matrix;
static unsigned int *row_sum;

static void *sum_rows(void *parameter)
{
    for (size_t i = (size_t)parameter; i < rows; i += threads) {
        unsigned int sum = 0;
        for (size_t j = 0; j < columns; j++)
            sum += (unsigned int)matrix[i][j] * (unsigned int)j;
        row_sum[i] = sum;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    rows = argument(argc, argv, 1, 1000);
    columns = argument(argc, argv, 2, 1000);
    threads = argument(argc, argv, 3, 4);
    matrix = must_malloc(rows * sizeof *matrix);
    row_sum = must_malloc(rows * sizeof *row_sum);
    for (size_t i = 0; i < rows; i++) {
        matrix[i] = must_malloc(columns * sizeof **matrix);
        for (size_t j = 0; j < columns; j++)
            matrix[i][j] = (int)j;
    }
    pthread_t *handles = must_malloc(threads * sizeof *handles);
    for (size_t i = 0; i < threads; i++)
        handles[i] = start(sum_rows, (void *)i);
    for (size_t i = 0; i < threads; i++)
        pthread_join(handles[i], NULL);
    unsigned int sum = 0;
    for (size_t i = 0; i < rows; i++) {
        sum += row_sum[i];
        free(matrix[i]);
    }
    printf("%d\n", (int)sum);
    free(handles);
    free(row_sum);
    free(matrix);
    return 0;
}
