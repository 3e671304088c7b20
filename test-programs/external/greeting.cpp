// Is a C++ program an application as well? The document's kind of program: text in the arena, on both consoles.
#include "vm_app.h"

#include <cstring>
#include <iostream>

int main()
{
    char *page = static_cast<char *>(vm_extend());
    std::strcpy(page, "hello, pager");
    vm_syslog(page, static_cast<unsigned>(std::strlen(page)));
    vm_yield();
    std::cout << page << std::endl;
}
