// The external pager's seven functions (vm_pager.h), for an infrastructure that calls them and provides disk_read,
// disk_write, pm_physmem and page_table_base_register.
//
// The decisions are libvmpager's (vm_decisions.h). This file is the part that must be compiled with the
// infrastructure's own vm_pager.h: it knows the layout of page table entries, and C++'s names.

#include "vm_decisions.h"
#include "vm_pager.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <map>
#include <string>

namespace {

// The page tables by process, and the one that runs.
std::map<pid_t, page_table_t *> tables;
pid_t current;

char *physical(unsigned ppage)
{
    return static_cast<char *>(pm_physmem) + static_cast<std::size_t>(ppage) * VM_PAGESIZE;
}

void clear(unsigned ppage)
{
    std::memset(physical(ppage), 0, VM_PAGESIZE);
}

void read_block(unsigned block, unsigned ppage)
{
    disk_read(block, ppage);
}

void write_block(unsigned block, unsigned ppage)
{
    disk_write(block, ppage);
}

void set_entry(int pid, unsigned page, unsigned ppage, int read_enable, int write_enable)
{
    page_table_entry_t &entry = tables.at(pid)->ptes[page];
    entry.ppage = ppage;
    entry.read_enable = read_enable;
    entry.write_enable = write_enable;
}

void take(void *message, unsigned ppage, unsigned offset, unsigned length)
{
    static_cast<std::string *>(message)->append(physical(ppage) + offset, length);
}

void must(bool done, const char *call, long long value)
{
    if (!done) {
        std::cerr << "vm_pager: " << call << "(" << value << ") is impossible here" << std::endl;
        std::abort();
    }
}

void forget_tables()
{
    for (auto &entry : tables)
        delete entry.second;
    tables.clear();
    page_table_base_register = nullptr;
}

} // namespace

void vm_init(unsigned int memory_pages, unsigned int disk_blocks)
{
    static const vm_machine machine = {clear, read_block, write_block, set_entry};
    must(vm_decisions_init(memory_pages, disk_blocks, &machine) == 0, "vm_init", memory_pages);
    forget_tables();
}

void vm_create(pid_t pid)
{
    must(vm_decisions_create(pid) == 0, "vm_create", pid);
    tables[pid] = new page_table_t();
}

void vm_switch(pid_t pid)
{
    must(vm_decisions_switch(pid) == 0, "vm_switch", pid);
    current = pid;
    page_table_base_register = tables.at(pid);
}

int vm_fault(void *addr, bool write_flag)
{
    return vm_decisions_fault(reinterpret_cast<std::uintptr_t>(addr), write_flag);
}

void vm_destroy()
{
    must(tables.count(current) == 1, "vm_destroy", current);
    vm_decisions_destroy();
    delete tables.at(current);
    tables.erase(current);
    page_table_base_register = nullptr;
}

void *vm_extend()
{
    return reinterpret_cast<void *>(vm_decisions_extend());
}

int vm_syslog(void *message, unsigned int len)
{
    std::string text;
    if (vm_decisions_syslog(reinterpret_cast<std::uintptr_t>(message), len, take, &text) != 0)
        return -1;
    std::cout << "syslog \t\t\t" << text << std::endl;
    return 0;
}
