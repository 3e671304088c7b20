// Do the seven functions of vm_pager.h decide as the course's rules say?
//
// This is a small infrastructure of our own: physical memory, a disk, an MMU that raises faults, and processes that
// load and store. Beside it stands a model that follows the rules naively, with a queue of pages and no
// engine. After every step the disk transfers, with their order, blocks and physical pages, every bit of
// every page table entry and every byte must be the model's. Then known sequences with known answers.
//
//   decisions [STEPS] [SEED] [PAGES] [BLOCKS]

#include "model.h"
#include "vm_pager.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <random>
#include <sstream>
#include <string>

// ---- the infrastructure ----

void *pm_physmem;
page_table_t *page_table_base_register;

static std::vector<std::vector<char>> disk;
static unsigned memory_pages, disk_blocks;
static std::string transfers; // since the last step

[[noreturn]] static void fail(const std::string &why)
{
    std::cerr << "decisions: " << why << std::endl;
    std::exit(1);
}

static char *physical(unsigned ppage)
{
    if (ppage >= memory_pages)
        fail("physical page " + std::to_string(ppage) + " does not exist");
    return static_cast<char *>(pm_physmem) + std::size_t(ppage) * VM_PAGESIZE;
}

static std::vector<char> &block_at(unsigned block)
{
    if (block >= disk_blocks)
        fail("disk block " + std::to_string(block) + " does not exist");
    return disk[block];
}

void disk_read(unsigned block, unsigned ppage)
{
    std::vector<char> &from = block_at(block);
    if (from.empty())
        fail("disk block " + std::to_string(block) + " is read, and was never written");
    std::memcpy(physical(ppage), from.data(), VM_PAGESIZE);
    transfers += "r" + std::to_string(block) + ":" + std::to_string(ppage) + " ";
}

void disk_write(unsigned block, unsigned ppage)
{
    block_at(block).assign(physical(ppage), physical(ppage) + VM_PAGESIZE);
    transfers += "w" + std::to_string(block) + ":" + std::to_string(ppage) + " ";
}

// The MMU: the byte at an address of the current process, after as many faults as it takes, and how many.
static char *access(std::uintptr_t address, bool write, unsigned &faults)
{
    for (faults = 0; faults < 3; faults++) {
        if (address >= base && address < base + VM_ARENA_SIZE) {
            page_table_entry_t entry = page_table_base_register->ptes[(address - base) / VM_PAGESIZE];
            if (write ? entry.write_enable : entry.read_enable)
                return physical(entry.ppage) + address % VM_PAGESIZE;
        }
        if (vm_fault(reinterpret_cast<void *>(address), write) != 0)
            return nullptr;
    }
    fail("a fault was served and the access faults again");
}

// ---- both, side by side ----

struct Both {
    Model model{memory_pages, disk_blocks};
    std::map<pid_t, page_table_t *> tables;
    unsigned long loads = 0, stores = 0, faults = 0, reads = 0, writes = 0;

    void same(const std::string &step)
    {
        if (transfers != model.transfers)
            fail(step + ": transfers '" + transfers + "', the rules say '" + model.transfers + "'");
        for (char c : transfers)
            c == 'r' ? reads++ : c == 'w' ? writes++ : 0;
        transfers.clear();
        model.transfers.clear();
        for (auto &[pid, pages] : model.processes) {
            for (std::size_t i = 0; i <= pages.size() && i < VM_ARENA_SIZE / VM_PAGESIZE; i++) {
                page_table_entry_t entry = tables[pid]->ptes[i];
                bool read = i < pages.size() && pages[i]->read, write = i < pages.size() && pages[i]->write;
                if (entry.read_enable != read || entry.write_enable != write || ((read || write) && entry.ppage != pages[i]->ppage))
                    fail(step + ": entry of page " + std::to_string(i) + " of process " + std::to_string(pid) + " is " +
                         std::to_string(entry.ppage) + (entry.read_enable ? "r" : "-") + (entry.write_enable ? "w" : "-") +
                         ", the rules say " + (read ? "r" : "-") + (write ? "w" : "-") +
                         (read ? " in " + std::to_string(pages[i]->ppage) : ""));
            }
        }
    }

    void create(pid_t pid)
    {
        vm_create(pid);
        model.processes[pid];
        run(pid);
    }

    void run(pid_t pid)
    {
        vm_switch(pid);
        model.current = pid;
        if (page_table_base_register == nullptr || (tables.count(pid) && tables[pid] != page_table_base_register))
            fail("vm_switch has not set the page table of process " + std::to_string(pid));
        tables[pid] = page_table_base_register;
    }

    void extend()
    {
        std::uintptr_t at = base + model.pages().size() * VM_PAGESIZE;
        bool possible = model.extend();
        void *got = vm_extend();
        if (got != (possible ? reinterpret_cast<void *>(at) : nullptr))
            fail("vm_extend returns the wrong address");
        same("vm_extend");
    }

    void load(std::uintptr_t address)
    {
        std::ostringstream step;
        step << "load of 0x" << std::hex << address;
        unsigned faults;
        char *byte = access(address, false, faults);
        Model::Page *page = model.find(address);
        if ((byte != nullptr) != (page != nullptr))
            fail(step.str() + (byte ? " is possible, and is not valid" : " is refused, and is valid"));
        if (page == nullptr)
            return;
        if (faults != model.touch(page, false))
            fail(step.str() + ": " + std::to_string(faults) + " faults");
        auto stored = page->bytes.find(address % VM_PAGESIZE);
        if (*byte != (stored == page->bytes.end() ? 0 : stored->second))
            fail(step.str() + ": another byte than was stored there last");
        same(step.str());
        this->faults += faults;
        loads++;
    }

    void store(std::uintptr_t address, char value)
    {
        std::ostringstream step;
        step << "store to 0x" << std::hex << address;
        unsigned faults;
        char *byte = access(address, true, faults);
        Model::Page *page = model.find(address);
        if ((byte != nullptr) != (page != nullptr))
            fail(step.str() + (byte ? " is possible, and is not valid" : " is refused, and is valid"));
        if (page == nullptr)
            return;
        if (faults != model.touch(page, true))
            fail(step.str() + ": " + std::to_string(faults) + " faults");
        *byte = page->bytes[address % VM_PAGESIZE] = value;
        same(step.str());
        this->faults += faults;
        stores++;
    }

    void log(std::uintptr_t address, unsigned length)
    {
        std::ostringstream step, printed;
        step << "vm_syslog(0x" << std::hex << address << ", " << std::dec << length << ")";
        std::streambuf *console = std::cout.rdbuf(printed.rdbuf());
        int result = vm_syslog(reinterpret_cast<void *>(address), length);
        std::cout.rdbuf(console);
        bool valid = model.log(address, length);
        std::string expected;
        if (valid) {
            expected = "syslog \t\t\t";
            for (std::uintptr_t at = address; at < address + length; at++) {
                Model::Page *page = model.find(at);
                auto stored = page->bytes.find(at % VM_PAGESIZE);
                expected += stored == page->bytes.end() ? 0 : stored->second;
            }
            expected += "\n";
        }
        if (result != (valid ? 0 : -1))
            fail(step.str() + " returns " + std::to_string(result));
        if (printed.str() != expected)
            fail(step.str() + " prints other bytes");
        same(step.str());
    }

    void destroy()
    {
        tables.erase(model.current);
        vm_destroy();
        model.destroy();
        same("vm_destroy");
    }

    void end()
    {
        while (!model.processes.empty()) {
            run(model.processes.begin()->first);
            destroy();
        }
        if (model.free_pages.size() != memory_pages || model.free_blocks.size() != disk_blocks)
            fail("the model itself has lost something");
    }
};

static void start(unsigned pages, unsigned blocks)
{
    std::free(pm_physmem);
    memory_pages = pages;
    disk_blocks = blocks;
    pm_physmem = std::malloc(std::size_t(pages) * VM_PAGESIZE);
    std::memset(pm_physmem, 0xee, std::size_t(pages) * VM_PAGESIZE);
    disk.assign(blocks, {});
    transfers.clear();
    vm_init(pages, blocks);
}

// ---- random steps ----

static void at_random(unsigned steps, unsigned seed, unsigned pages, unsigned blocks)
{
    start(pages, blocks);
    Both both;
    std::mt19937 random(seed);
    auto below = [&](std::uintptr_t n) { return random() % n; };
    pid_t next = 100;
    for (unsigned step = 0; step < steps; step++) {
        if (both.model.processes.empty() || (both.model.processes.size() < 5 && below(200) == 0)) {
            both.create(next++);
            continue;
        }
        if (both.model.current == 0 || below(20) == 0) {
            auto process = both.model.processes.begin();
            std::advance(process, below(both.model.processes.size()));
            both.run(process->first);
        }
        std::uintptr_t valid = both.model.pages().size();
        // Mostly valid addresses, half of them in few pages; sometimes one page beyond, sometimes anywhere.
        std::uintptr_t page = below(2) ? below(valid + 1) : below(std::min<std::uintptr_t>(valid, 3) + 1);
        std::uintptr_t address = base + page * VM_PAGESIZE + below(VM_PAGESIZE);
        if (below(100) == 0)
            address = below(2) ? base - 1 - below(100) : base + VM_ARENA_SIZE - 50 + below(100);
        switch (below(40)) {
        case 0: case 1: case 2: both.extend(); break;
        case 3: both.log(address, below(3) ? below(100) : below(pages * 2 * VM_PAGESIZE)); break;
        case 4: both.log(below(2) ? address : UINTPTR_MAX - below(100), below(2) ? 0 : UINT32_MAX - below(100)); break;
        case 5: if (below(20) == 0) both.destroy(); break;
        default: below(2) ? both.load(address) : both.store(address, char(1 + below(255)));
        }
    }
    both.end();
    std::printf("%u pages, %u blocks: %lu loads, %lu stores, %lu faults, %lu reads, %lu writes\n", pages, blocks, both.loads,
                both.stores, both.faults, both.reads, both.writes);
}

// ---- known sequences ----

static void expect(const char *what, const std::string &found, const char *expected)
{
    if (found != expected)
        fail(std::string(what) + ": transfers '" + found + "', not '" + expected + "'");
    transfers.clear();
    std::printf("%s: ok\n", what);
}

static void *address(unsigned page) { return reinterpret_cast<void *>(base + page * page_size); }

static void known()
{
    start(2, 4);
    vm_create(1);
    vm_switch(1);
    for (unsigned i = 0; i < 4; i++)
        if (vm_extend() != address(i))
            fail("vm_extend hands out pages in another order");
    if (vm_extend() != nullptr)
        fail("vm_extend promises a fifth block of four");
    expect("vm_extend touches nothing", transfers, "");
    for (unsigned i = 0; i < 4; i++)
        vm_fault(address(i), false);
    for (unsigned i = 0; i < 4; i++)
        vm_fault(address(i), false);
    expect("pages that were only read are never transferred", transfers, "");
    vm_fault(address(0), true);
    vm_fault(address(1), false);
    vm_fault(address(2), false);
    vm_fault(address(0), false);
    expect("a dirty page is written once, and read back", transfers, "w0:0 r0:1 ");
    vm_fault(address(1), false);
    vm_fault(address(2), false);
    expect("and leaves without a write when it is clean", transfers, "");
    vm_fault(address(3), true);
    vm_destroy();
    expect("vm_destroy writes nothing", transfers, "");
    vm_create(2);
    vm_switch(2);
    for (unsigned i = 0; i < 4; i++)
        if (vm_extend() != address(i))
            fail("vm_destroy has not freed all blocks");
    vm_fault(address(0), true);
    if (page_table_base_register->ptes[0].ppage != 0)
        fail("vm_destroy has not freed physical page 0");
    for (unsigned i = 0; i < VM_PAGESIZE; i++)
        if (physical(0)[i] != 0)
            fail("a new process sees old bytes");
    if (vm_fault(address(4), false) != -1 || vm_fault(reinterpret_cast<void *>(base - 1), true) != -1 ||
        vm_fault(reinterpret_cast<void *>(base + VM_ARENA_SIZE), false) != -1 || vm_fault(nullptr, false) != -1)
        fail("vm_fault serves an address that is not valid");
    vm_create(3);
    vm_switch(3);
    if (vm_extend() != nullptr)
        fail("vm_extend finds a block that another process has");
    vm_destroy();
    vm_switch(2);
    vm_destroy();
}

// The whole arena of a process can be valid.
static void all_of_it()
{
    unsigned whole = VM_ARENA_SIZE / VM_PAGESIZE;
    start(2, whole + 1);
    vm_create(1);
    vm_switch(1);
    for (unsigned i = 0; i < whole; i++)
        if (vm_extend() != address(i))
            fail("vm_extend stops at page " + std::to_string(i));
    if (vm_extend() != nullptr)
        fail("vm_extend goes beyond the arena");
    if (vm_fault(reinterpret_cast<void *>(base + VM_ARENA_SIZE - 1), true) != 0)
        fail("the last byte of the arena cannot be stored to");
    if (vm_syslog(reinterpret_cast<void *>(base + VM_ARENA_SIZE - 1), 2) != -1)
        fail("vm_syslog reads beyond the arena");
    vm_destroy();
    std::printf("the whole arena: ok\n");
}

int main(int argc, char **argv)
{
    auto argument = [&](int i, unsigned otherwise) { return i < argc ? unsigned(std::strtoul(argv[i], nullptr, 0)) : otherwise; };
    unsigned steps = argument(1, 20000), seed = argument(2, 1);
    known();
    all_of_it();
    if (argc > 4) {
        at_random(steps, seed, argument(3, 4), argument(4, 64));
    } else {
        for (auto [pages, blocks] : {std::pair(1u, 8u), {2u, 4u}, {4u, 64u}, {4u, 3u}, {16u, 64u}, {64u, 40u}})
            at_random(steps, seed, pages, blocks);
    }
}
