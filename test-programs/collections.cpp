// Question: do C++'s maps, strings, vectors and threads give the same answers over a heap that pages?
//
// usage: collections [entries] [threads]
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace {

std::uint64_t mix(std::uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

std::uint64_t hash(const std::string &text)
{
    std::uint64_t sum = 14695981039346656037u;
    for (unsigned char byte : text)
        sum = (sum ^ byte) * 1099511628211u;
    return sum;
}

std::string word(std::uint64_t number)
{
    return "word" + std::to_string(mix(number) % 100000007) + std::string(number % 90, 'a' + number % 26);
}

void check(bool holds, const char *what)
{
    if (!holds) {
        std::fprintf(stderr, "collections: %s\n", what);
        std::_Exit(1);
    }
}

// A map, a vector of strings and a sort; each lookup must give what was put in.
std::uint64_t work(std::size_t entries, std::uint64_t seed)
{
    std::map<std::string, std::uint64_t> ordered;
    std::unordered_map<std::uint64_t, std::vector<std::string>> buckets;
    for (std::size_t i = 0; i < entries; i++) {
        ordered[word(seed + i)] += i;
        buckets[mix(i) % 512].push_back(word(seed + 3 * i));
    }
    std::uint64_t sum = 0;
    for (const auto &[key, value] : ordered)
        sum = mix(sum + hash(key) + value);
    for (std::size_t i = 0; i < entries; i += 3)
        check(ordered.count(word(seed + i)) == 1, "a key is gone");
    for (std::size_t i = 0; i < 512; i++) {
        auto &bucket = buckets[i];
        std::sort(bucket.begin(), bucket.end());
        check(std::is_sorted(bucket.begin(), bucket.end()), "not sorted");
        for (const auto &text : bucket)
            sum = mix(sum ^ hash(text));
        if (i % 2)
            bucket = {};
    }
    for (auto it = ordered.begin(); it != ordered.end();)
        it = it->second % 2 ? ordered.erase(it) : std::next(it);
    return sum + ordered.size();
}

} // namespace

int main(int argc, char **argv)
{
    std::size_t entries = argc > 1 ? std::strtoull(argv[1], nullptr, 0) : 18000;
    std::size_t count = argc > 2 ? std::strtoull(argv[2], nullptr, 0) : 4;
    std::mutex mutex;
    std::list<std::shared_ptr<std::string>> log;
    std::vector<std::uint64_t> sums(count);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < count; i++)
        threads.emplace_back([&, i] {
            sums[i] = work(entries, i * 1000000);
            std::lock_guard<std::mutex> guard(mutex);
            log.push_back(std::make_shared<std::string>(std::to_string(sums[i])));
        });
    for (auto &thread : threads)
        thread.join();
    int caught = 0;
    try {
        throw std::runtime_error(std::string(10000, 'x'));
    } catch (const std::exception &error) {
        caught = static_cast<int>(std::string(error.what()).size());
    }
    std::uint64_t sum = 0;
    for (std::uint64_t part : sums)
        sum = mix(sum ^ part);
    std::printf("collections %zu entries, %zu threads, %zu logged, caught %d: %016llx\n", entries, count, log.size(),
                caught, static_cast<unsigned long long>(sum));
}
