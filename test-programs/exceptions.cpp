// Question: do C++ exceptions unwind as they should through frames whose objects, and whose stacks,
// have been paged out, also in several threads, in a coroutine, and out of what a destructor frees?
//
// usage: exceptions [bytes to page out]
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>
#include <ucontext.h>
#include <vector>

static size_t churn;

static void page_out(size_t bytes)
{
    std::vector<char> block(bytes);
    for (size_t i = 0; i < bytes; i += 4096)
        block[i] = static_cast<char>(i);
}

struct Holder {
    std::string text;
    std::vector<int> *order;
    Holder(int depth, std::vector<int> *order) : text(200, static_cast<char>('a' + depth % 26)), order(order) {}
    ~Holder()
    {
        order->push_back(text[199] - 'a');
        page_out(churn / 32 > 4096 ? churn / 32 : 4096);
    }
};

static void deep(int depth, std::vector<int> *order)
{
    Holder holder(depth, order);
    if (depth == 0) {
        page_out(churn / 2);
        throw std::runtime_error(std::string(5000, 'x') + "bottom");
    }
    deep(depth - 1, order);
}

static long round_trip(int depth)
{
    std::vector<int> order;
    try {
        deep(depth, &order);
    } catch (const std::exception &error) {
        page_out(churn / 4);
        if (strlen(error.what()) != 5006 || strcmp(error.what() + 5000, "bottom") != 0)
            _Exit(2);
    }
    long sum = 0;
    for (size_t i = 0; i < order.size(); i++)
        sum += order[i] == static_cast<int>(i % 26);
    return sum;
}

static ucontext_t back, coroutine;
static long in_coroutine;

static void run_coroutine()
{
    in_coroutine = round_trip(20);
}

int main(int argc, char **argv)
{
    churn = argc > 1 ? strtoul(argv[1], nullptr, 0) << 20 : 12 << 20;
    printf("%ld objects destroyed in order\n", round_trip(30));
    long sums[3];
    std::vector<std::thread> threads;
    churn /= 4;
    for (long &sum : sums)
        threads.emplace_back([&sum] { sum = round_trip(25); });
    for (std::thread &thread : threads)
        thread.join();
    churn *= 4;
    printf("%ld %ld %ld in threads\n", sums[0], sums[1], sums[2]);
    std::vector<char> stack(256 << 10);
    getcontext(&coroutine);
    coroutine.uc_stack.ss_sp = stack.data();
    coroutine.uc_stack.ss_size = stack.size();
    coroutine.uc_link = &back;
    makecontext(&coroutine, run_coroutine, 0);
    page_out(churn);
    swapcontext(&back, &coroutine);
    printf("%ld in a coroutine\n", in_coroutine);
    return 0;
}
