// The rules of the external pager, followed naively: a queue of pages, no engine, nothing shared with what is
// tested. It says which disk transfers each call makes, in which order, and what every page table entry is.
#ifndef TEST_MODEL_H
#define TEST_MODEL_H

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <sys/types.h>
#include <vector>

constexpr std::uintptr_t base = 0x60000000, arena = 0x20000000, page_size = 8192;

struct Model {
    struct Page {
        unsigned block = 0, ppage = 0;
        bool resident = false, referenced = false, dirty = false, on_disk = false, read = false, write = false;
        std::map<unsigned, char> bytes; // what was stored; everything else is zero
    };
    std::map<pid_t, std::vector<Page *>> processes;
    std::set<unsigned> free_pages, free_blocks;
    std::deque<Page *> clock;
    pid_t current = 0;
    std::string transfers;

    Model(unsigned memory_pages, unsigned disk_blocks)
    {
        for (unsigned i = 0; i < memory_pages; i++)
            free_pages.insert(i);
        for (unsigned i = 0; i < disk_blocks; i++)
            free_blocks.insert(i);
    }

    std::vector<Page *> &pages() { return processes[current]; }

    bool extend()
    {
        if (free_blocks.empty() || pages().size() == arena / page_size)
            return false;
        Page *page = new Page;
        page->block = *free_blocks.begin();
        free_blocks.erase(free_blocks.begin());
        pages().push_back(page);
        return true;
    }

    Page *find(std::uintptr_t address)
    {
        if (address < base || (address - base) / page_size >= pages().size())
            return nullptr;
        return pages()[(address - base) / page_size];
    }

    void note(char what, Page *page)
    {
        transfers += what + std::to_string(page->block) + ":" + std::to_string(page->ppage) + " ";
    }

    unsigned evict()
    {
        for (;;) {
            Page *page = clock.front();
            clock.pop_front();
            page->read = page->write = false;
            if (page->referenced) {
                page->referenced = false;
                clock.push_back(page);
                continue;
            }
            if (page->dirty) {
                note('w', page);
                page->on_disk = true;
                page->dirty = false;
            }
            page->resident = false;
            return page->ppage;
        }
    }

    // A load or store: how many faults it takes.
    unsigned touch(Page *page, bool write)
    {
        if (write ? page->write : page->read)
            return 0;
        if (!page->resident) {
            if (free_pages.empty()) {
                page->ppage = evict();
            } else {
                page->ppage = *free_pages.begin();
                free_pages.erase(free_pages.begin());
            }
            if (page->on_disk)
                note('r', page);
            page->resident = true;
            clock.push_back(page);
        }
        page->referenced = page->read = true;
        page->dirty |= write;
        page->write = page->dirty;
        return 1;
    }

    // Whether so many bytes from an address on are a message; then its pages are loaded from.
    bool log(std::uintptr_t address, std::uintptr_t length)
    {
        if (length == 0 || address + length < address || !find(address) || !find(address + length - 1))
            return false;
        for (std::uintptr_t page = address / page_size; page <= (address + length - 1) / page_size; page++)
            touch(find(page * page_size), false);
        return true;
    }

    void destroy()
    {
        for (Page *page : pages()) {
            free_blocks.insert(page->block);
            if (page->resident) {
                free_pages.insert(page->ppage);
                std::deque<Page *> rest;
                for (Page *other : clock)
                    if (other != page)
                        rest.push_back(other);
                clock = rest;
            }
            delete page;
        }
        processes.erase(current);
        current = 0;
    }
};

#endif
