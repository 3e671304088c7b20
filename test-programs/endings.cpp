// Question: however a process or its threads end, do the handlers and destructors that belong to this
// end run, in their order, on a heap that works, while other threads still fault?
//
// Handlers verify and free blocks that were paged out, allocate, and page. Their order is the output.
//
// usage: endings exit|return|thread|pthread_exit|quick_exit|_exit|abort|jump|unwind [bytes to page out]
#include <csetjmp>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <pthread.h>
#include <string>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

static size_t churn;

static void say(const std::string &text)
{
    std::string line = text + "\n";
    if (write(1, line.data(), line.size()) < 0)
        _exit(9);
}

static void page_out(size_t bytes)
{
    volatile char *block = static_cast<volatile char *>(malloc(bytes));
    if (block == nullptr)
        _exit(10);
    for (size_t i = 0; i < bytes; i += 4096)
        block[i] = static_cast<char>(i >> 12);
    free(const_cast<char *>(block));
}

// A block that its destructor verifies, after everything was paged out.
struct Witness {
    const char *name;
    std::vector<uint32_t> words;
    explicit Witness(const char *name) : name(name), words(20000)
    {
        for (size_t i = 0; i < words.size(); i++)
            words[i] = static_cast<uint32_t>(i * 2654435761u);
    }
    ~Witness()
    {
        page_out(churn / 4);
        uint64_t sum = 0;
        for (size_t i = 0; i < words.size(); i++) {
            if (words[i] != static_cast<uint32_t>(i * 2654435761u)) {
                say(std::string(name) + " is wrong");
                _exit(11);
            }
            sum += words[i];
        }
        Witness *other = strcmp(name, "made by a destructor") ? new Witness("made by a destructor") : nullptr;
        say(std::string(name) + " " + std::to_string(sum));
        delete other;
    }
};

static Witness global("a static object");

static void touch_local(const char *name)
{
    static thread_local Witness local(name);
    local.words[1] += 0;
}

static void at_exit() { delete new Witness("atexit"); }
static void at_quick() { delete new Witness("at_quick_exit"); }
static void on_exit_handler(int status, void *block)
{
    say("on_exit " + std::to_string(status));
    delete static_cast<Witness *>(block);
}

static void specific(void *value) { delete static_cast<Witness *>(value); }
static pthread_key_t key;

static void *busy(void *bytes)
{
    for (;;)
        page_out(reinterpret_cast<size_t>(bytes));
    return nullptr;
}

static void *worker(void *how)
{
    touch_local("thread-local of a thread");
    pthread_setspecific(key, new Witness("thread-specific"));
    page_out(churn);
    if (how != nullptr)
        exit(6);
    return nullptr;
}

static void *unwound(void *)
{
    Witness object("an object on the stack of a thread that ends in the middle");
    touch_local("thread-local of a thread that ends in the middle");
    page_out(churn / 2);
    pthread_exit(nullptr);
}

// The last thread ends the process, after the main thread has gone.
static void *last(void *main_thread)
{
    pthread_join(*static_cast<pthread_t *>(main_thread), nullptr);
    page_out(churn);
    say("the main thread has gone");
    touch_local("thread-local of the last thread");
    return nullptr;
}

static jmp_buf back;
static void jump(int) { longjmp(back, 1); }
static void on_abort(int)
{
    page_out(churn / 4);
    say("SIGABRT is handled");
}

static void run(void *(*routine)(void *), void *argument)
{
    pthread_t thread;
    if (pthread_create(&thread, nullptr, routine, argument) != 0)
        _exit(12);
    pthread_join(thread, nullptr);
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "exit";
    churn = argc > 2 ? strtoul(argv[2], nullptr, 0) : 12 << 20;
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    static pthread_t self = pthread_self();
    pthread_key_create(&key, specific);
    atexit(at_exit);
    on_exit(on_exit_handler, new Witness("a block of on_exit"));
    at_quick_exit(at_quick);
    touch_local("thread-local of main");
    run(worker, nullptr);
    page_out(churn);
    std::string what = how;
    pthread_t thread;
    if (what != "pthread_exit")
        for (size_t i = 1; i < 3; i++)
            pthread_create(&thread, nullptr, busy, reinterpret_cast<void *>(churn / 8 * i));
    if (what == "return")
        return 3;
    if (what == "exit")
        exit(4);
    if (what == "thread")
        run(worker, &thread);
    if (what == "quick_exit")
        quick_exit(5);
    if (what == "_exit")
        _exit(7);
    if (what == "unwind") {
        run(unwound, nullptr);
        return 8;
    }
    if (what == "abort") {
        signal(SIGABRT, on_abort);
        abort();
    }
    if (what == "jump") {   // abort that a handler jumps out of
        signal(SIGABRT, jump);
        if (setjmp(back) == 0)
            abort();
        say("jumped out of abort");
        return 13;
    }
    if (what == "pthread_exit") {
        pthread_create(&thread, nullptr, last, &self);
        pthread_exit(nullptr);
    }
    return 14;
}
