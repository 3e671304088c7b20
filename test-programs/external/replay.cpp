// Has a pager decided as the rules say? Reads the trace of `vmalloc pager --trace`, has the model do the same calls,
// and compares every disk transfer and every result. A fault on a page whose entry allows the access is wrong too: it
// decides nothing.
//
//   replay < TRACE

#include "model.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <optional>

static std::optional<Model> model;
static std::string seen; // transfers since the last call

static const char *difference(const char *line)
{
    unsigned long long a = 0;
    unsigned b = 0, pages, blocks;
    int pid, result;
    char access[8], value[32];
    if (std::sscanf(line, "vm_init(%u, %u)", &pages, &blocks) == 2) {
        model.emplace(pages, blocks);
    } else if (!model) {
        return "there was no vm_init";
    } else if (std::sscanf(line, "disk_read(%u, %u)", &pages, &blocks) == 2) {
        seen += "r" + std::to_string(pages) + ":" + std::to_string(blocks) + " ";
        return nullptr;
    } else if (std::sscanf(line, "disk_write(%u, %u)", &pages, &blocks) == 2) {
        seen += "w" + std::to_string(pages) + ":" + std::to_string(blocks) + " ";
        return nullptr;
    } else if (std::sscanf(line, "vm_create(%d)", &pid) == 1) {
        if (!model->processes.emplace(pid, std::vector<Model::Page *>()).second)
            return "there is such a process";
    } else if (std::sscanf(line, "vm_switch(%d)", &pid) == 1) {
        if (model->processes.count(pid) == 0)
            return "there is no such process";
        model->current = pid;
    } else if (std::strcmp(line, "vm_destroy()") == 0) {
        model->destroy();
    } else if (std::sscanf(line, "vm_extend() = %31s", value) == 1) {
        std::uintptr_t next = base + model->pages().size() * page_size;
        if (std::strtoull(value, nullptr, 0) != (model->extend() ? next : 0))
            return "another page comes next";
    } else if (std::sscanf(line, "vm_fault(0x%llx, %7[a-z]) = %d", &a, access, &result) == 3) {
        Model::Page *page = model->find(a);
        if (result != (page ? 0 : -1))
            return "another result";
        if (page && model->touch(page, std::strcmp(access, "write") == 0) != 1)
            return "the entry allows it";
    } else if (std::sscanf(line, "vm_syslog(0x%llx, %u) = %d", &a, &b, &result) == 3) {
        if (result != (model->log(a, b) ? 0 : -1))
            return "another result";
    } else {
        return "not a line of a trace";
    }
    bool same = seen == model->transfers;
    seen.clear();
    if (!same)
        return "other disk transfers";
    model->transfers.clear();
    return nullptr;
}

int main()
{
    std::string line;
    unsigned long number = 0;
    while (std::getline(std::cin, line)) {
        number++;
        if (const char *what = difference(line.c_str())) {
            std::cerr << "line " << number << ", " << line << ": " << what;
            if (model)
                std::cerr << "; the rules have '" << model->transfers << "'";
            std::cerr << std::endl;
            return 1;
        }
    }
    if (number == 0 || !seen.empty()) {
        std::cerr << "the trace has no end" << std::endl;
        return 1;
    }
    std::printf("%lu lines, %zu processes left\n", number, model->processes.size());
}
