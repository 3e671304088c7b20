/* Does a language machine run whose whole memory is a paged region?
 *
 *     forth [MAX_PAGES [swap|files]] < PROGRAM
 *
 * A small Forth. Its dictionary grows from the bottom of a region of 20 pages, its data stack from the top
 * down, its return stack from the middle down; with 3 pages mapped, nearly every word faults. What it prints
 * does not depend on that; how many pages were mapped goes to stderr.
 *
 *     : NAME … ;   numbers   + - * / mod /mod 1+ 1- negate abs min max   = <> < > <= >= 0= 0< 0>   and or xor invert
 *     dup drop swap over rot nip tuck 2dup 2drop ?dup depth .s   >r r> r@   @ ! +! c@ c! cells , here allot
 *     if else then   begin until   begin while repeat   do loop +loop i j leave   recurse exit
 *     variable constant create   ' execute   . cr emit space ."   words   ( comment )  \ comment
 *
 * Upper and lower case are the same. Stacks, numbers and names are checked, addresses are the program's affair.
 */
#include "../common.h"
#include <paged_region.h>
#include <strings.h>

typedef int64_t cell;

enum { PAGES = 20, NAME_MAX_LENGTH = 15 };
static const uintptr_t BASE = 0xf9f8c000;

/* A word in the dictionary: header, then its code: one cell for a primitive, threaded code for others. */
struct word {
    struct word *previous;
    cell flags;
    char name[NAME_MAX_LENGTH + 1];
    cell code[];
};
enum { IMMEDIATE = 1, PRIMITIVE = 2, DATA = 4, CONSTANT = 8 };

static char *here;           /* where the dictionary ends */
static cell *sp, *rp;        /* the tops of the two stacks, which grow down */
static cell *sp0, *rp0;      /* where they begin */
static struct word *latest;  /* the last word that is complete */
static struct word *defining;
static long mapped_pages, unmapped_pages;

static void mapped(void *address, int page, int unmapped, void *context)
{
    (void)address, (void)page, (void)context;
    mapped_pages++;
    unmapped_pages += unmapped >= 0;
}

static void push(cell value)
{
    CHECK((char *)(sp - 1) > (char *)rp0, "the data stack is full");
    *--sp = value;
}

static cell pop(void)
{
    CHECK(sp < sp0, "the data stack is empty");
    return *sp++;
}

static void rpush(cell value)
{
    CHECK((char *)(rp - 1) > here + 256, "the return stack is full");
    *--rp = value;
}

static cell rpop(void)
{
    CHECK(rp < rp0, "the return stack is empty");
    return *rp++;
}

static void comma(cell value)
{
    CHECK(here + sizeof value + 256 < (char *)rp, "the dictionary is full");
    *(cell *)here = value;
    here += sizeof value;
}

static struct word *header(const char *name, cell flags)
{
    CHECK(strlen(name) <= NAME_MAX_LENGTH, "the name %s is too long", name);
    CHECK(here + sizeof(struct word) + 256 < (char *)rp, "the dictionary is full");
    struct word *word = (struct word *)here;
    word->previous = latest;
    word->flags = flags;
    strcpy(word->name, name);
    here += sizeof *word;
    return word;
}

static struct word *find(const char *name)
{
    for (struct word *word = latest; word; word = word->previous)
        if (strcasecmp(word->name, name) == 0)
            return word;
    return NULL;
}

/* What is read. */
static int next_char(void)
{
    return getchar();
}

static int next_word(char *word)
{
    int c, n = 0;
    do
        c = next_char();
    while (c == ' ' || c == '\n' || c == '\t');
    while (c != EOF && c != ' ' && c != '\n' && c != '\t') {
        if (n < 63)
            word[n++] = c;
        c = next_char();
    }
    word[n] = 0;
    return n > 0;
}

#define PRIMITIVES(X)                                                                                                  \
    X(EXIT, "exit") X(LIT, "(lit)") X(BRANCH, "(branch)") X(BRANCH0, "(0branch)") X(DO, "(do)") X(LOOP, "(loop)")      \
    X(ADDLOOP, "(+loop)") X(TEXT, "(text)") X(DIVMOD, "/mod") X(INC, "1+") X(DEC, "1-") X(LE, "<=") X(GE, ">=")        \
    X(NEGATIVE, "0<") X(POSITIVE, "0>") X(TWODROP, "2drop") X(STACK, ".s") X(ADD, "+") X(SUB, "-") X(MUL, "*") X(DIV, "/") X(MOD, "mod")              \
    X(NEGATE, "negate") X(ABS, "abs") X(MIN, "min") X(MAX, "max") X(EQ, "=") X(NE, "<>") X(LT, "<") X(GT, ">")         \
    X(ZERO, "0=") X(AND, "and") X(OR, "or") X(XOR, "xor") X(INVERT, "invert") X(DUP, "dup") X(DROP, "drop")            \
    X(SWAP, "swap") X(OVER, "over") X(ROT, "rot") X(NIP, "nip") X(TUCK, "tuck") X(TWODUP, "2dup") X(QDUP, "?dup")      \
    X(DEPTH, "depth") X(TO_R, ">r") X(FROM_R, "r>") X(R_AT, "r@") X(I, "i") X(J, "j") X(LEAVE, "leave") X(AT, "@")     \
    X(STORE, "!") X(ADDSTORE, "+!") X(CAT, "c@") X(CSTORE, "c!") X(CELLS, "cells") X(COMMA, ",") X(HERE, "here")       \
    X(ALLOT, "allot") X(EXECUTE, "execute") X(DOT, ".") X(CR, "cr") X(EMIT, "emit") X(SPACE, "space") X(WORDS, "words")

#define ENUM(name, text) P_##name,
enum primitive { PRIMITIVES(ENUM) P_COUNT };
#define NAME(name, text) text,
static const char *const primitive_names[] = {PRIMITIVES(NAME)};
static struct word *primitive_words[P_COUNT];

/* One step of a word that is no colon definition; may change where the threaded code goes on. */
static cell *primitive(cell number, cell *ip);

/* The inner interpreter: runs a word to its end. */
static void execute(struct word *word)
{
    cell *ip = NULL;
    cell *bottom = rp;
    for (;;) {
        cell flags = word->flags;
        if (flags & PRIMITIVE) {
            if (word->code[0] == P_EXIT) {
                ip = (cell *)rpop();
            } else if (word->code[0] == P_EXECUTE) {
                word = (struct word *)pop();
                continue;
            } else {
                ip = primitive(word->code[0], ip);
            }
        } else if (flags & DATA) {
            push((cell)word->code);
        } else if (flags & CONSTANT) {
            push(word->code[0]);
        } else {
            rpush((cell)ip);
            ip = word->code;
        }
        if (!ip && rp == bottom)
            return;
        word = (struct word *)*ip++;
    }
}

static cell quotient(cell a, cell b)
{
    CHECK(b, "division by zero");
    return b == -1 ? (cell)-(uint64_t)a : a / b;
}

static cell modulo(cell a, cell b)
{
    CHECK(b, "division by zero");
    return b == -1 ? 0 : a % b;
}

static cell *primitive(cell number, cell *ip)
{
    cell a, b, c;
    switch (number) {
    case P_LIT: push(*ip++); break;
    case P_BRANCH: ip = (cell *)*ip; break;
    case P_BRANCH0: ip = pop() ? ip + 1 : (cell *)*ip; break;
    case P_DO: b = pop(), a = pop(), rpush(*ip++), rpush(a), rpush(b); break;
    case P_LOOP:
    case P_ADDLOOP:
        a = number == P_LOOP ? 1 : pop();
        b = rp[0] - rp[1];
        rp[0] += a;
        if ((b < 0) == (rp[0] - rp[1] < 0))
            ip = (cell *)*ip;
        else
            rp += 3, ip++;
        break;
    case P_LEAVE: ip = (cell *)rp[2], rp += 3; break;
    case P_TEXT: /* byte by byte: write(2) would not fault pages in */
        for (a = 0; a < *ip; a++)
            putchar(((char *)(ip + 1))[a]);
        ip += 1 + (a + 7) / 8;
        break;
    case P_DIVMOD: b = pop(), a = pop(), push(modulo(a, b)), push(quotient(a, b)); break;
    case P_INC: push(pop() + 1); break;
    case P_DEC: push(pop() - 1); break;
    case P_LE: a = pop(), push(-(pop() <= a)); break;
    case P_GE: a = pop(), push(-(pop() >= a)); break;
    case P_NEGATIVE: push(-(pop() < 0)); break;
    case P_POSITIVE: push(-(pop() > 0)); break;
    case P_TWODROP: pop(), pop(); break;
    case P_STACK:
        for (cell *at = sp0; at > sp;)
            printf("%ld ", (long)*--at);
        break;
    case P_ADD: a = pop(), push(pop() + a); break;
    case P_SUB: a = pop(), push(pop() - a); break;
    case P_MUL: a = pop(), push(pop() * a); break;
    case P_DIV: b = pop(), push(quotient(pop(), b)); break;
    case P_MOD: b = pop(), push(modulo(pop(), b)); break;
    case P_NEGATE: push(-pop()); break;
    case P_ABS: a = pop(), push(a < 0 ? -a : a); break;
    case P_MIN: a = pop(), b = pop(), push(a < b ? a : b); break;
    case P_MAX: a = pop(), b = pop(), push(a > b ? a : b); break;
    case P_EQ: a = pop(), push(-(pop() == a)); break;
    case P_NE: a = pop(), push(-(pop() != a)); break;
    case P_LT: a = pop(), push(-(pop() < a)); break;
    case P_GT: a = pop(), push(-(pop() > a)); break;
    case P_ZERO: push(-(pop() == 0)); break;
    case P_AND: a = pop(), push(pop() & a); break;
    case P_OR: a = pop(), push(pop() | a); break;
    case P_XOR: a = pop(), push(pop() ^ a); break;
    case P_INVERT: push(~pop()); break;
    case P_DUP: a = pop(), push(a), push(a); break;
    case P_DROP: pop(); break;
    case P_SWAP: a = pop(), b = pop(), push(a), push(b); break;
    case P_OVER: a = pop(), b = pop(), push(b), push(a), push(b); break;
    case P_ROT: a = pop(), b = pop(), c = pop(), push(b), push(a), push(c); break;
    case P_NIP: a = pop(), pop(), push(a); break;
    case P_TUCK: a = pop(), b = pop(), push(a), push(b), push(a); break;
    case P_TWODUP: a = pop(), b = pop(), push(b), push(a), push(b), push(a); break;
    case P_QDUP: a = pop(), push(a); if (a) push(a); break;
    case P_DEPTH: push(sp0 - sp); break;
    case P_TO_R: rpush(pop()); break;
    case P_FROM_R: push(rpop()); break;
    case P_R_AT: case P_I: push(rp[0]); break;
    case P_J: push(rp[3]); break;
    case P_AT: push(*(cell *)pop()); break;
    case P_STORE: a = pop(), *(cell *)a = pop(); break;
    case P_ADDSTORE: a = pop(), *(cell *)a += pop(); break;
    case P_CAT: push(*(unsigned char *)pop()); break;
    case P_CSTORE: a = pop(), *(char *)a = pop(); break;
    case P_CELLS: push(pop() * sizeof(cell)); break;
    case P_COMMA: comma(pop()); break;
    case P_HERE: push((cell)here); break;
    case P_ALLOT:
        a = pop();
        CHECK(a >= (char *)latest - here && a < (char *)rp - here - 256, "the dictionary has no room for %ld bytes", (long)a);
        here += a;
        break;
    case P_DOT: printf("%ld ", (long)pop()); break;
    case P_CR: putchar('\n'); break;
    case P_EMIT: putchar(pop()); break;
    case P_SPACE: putchar(' '); break;
    case P_WORDS:
        for (struct word *word = latest; word; word = word->previous)
            printf("%s ", word->name);
        break;
    default: fail("primitive %ld", (long)number);
    }
    return ip;
}

static void compile(enum primitive number)
{
    comma((cell)primitive_words[number]);
}

/* The words that do something while others are compiled; true if `name` is one. Addresses that are not known
 * yet wait on the data stack. */
static int structure(const char *name)
{
    char word[64];
    cell at;
    if (!strcasecmp(name, "if")) {
        compile(P_BRANCH0), push((cell)here), comma(0);
    } else if (!strcasecmp(name, "else")) {
        at = pop(), compile(P_BRANCH), push((cell)here), comma(0), *(cell *)at = (cell)here;
    } else if (!strcasecmp(name, "then")) {
        *(cell *)pop() = (cell)here;
    } else if (!strcasecmp(name, "begin")) {
        push((cell)here);
    } else if (!strcasecmp(name, "until")) {
        compile(P_BRANCH0), comma(pop());
    } else if (!strcasecmp(name, "while")) {
        at = pop(), compile(P_BRANCH0), push((cell)here), comma(0), push(at);
    } else if (!strcasecmp(name, "repeat")) {
        compile(P_BRANCH), comma(pop()), *(cell *)pop() = (cell)here;
    } else if (!strcasecmp(name, "do")) {
        compile(P_DO), push((cell)here), comma(0);
    } else if (!strcasecmp(name, "loop") || !strcasecmp(name, "+loop")) {
        compile(name[0] == '+' ? P_ADDLOOP : P_LOOP);
        at = pop(), comma(at + sizeof(cell)), *(cell *)at = (cell)here;
    } else if (!strcasecmp(name, "recurse")) {
        comma((cell)defining);
    } else if (!strcasecmp(name, ".\"")) {
        compile(P_TEXT);
        cell *length = (cell *)here;
        comma(0);
        for (int c; (c = next_char()) != '"' && c != EOF; ++*length) {
            CHECK(here + 256 < (char *)rp, "the dictionary is full");
            *here++ = c;
        }
        here = (char *)(((uintptr_t)here + 7) & ~(uintptr_t)7);
    } else if (!strcasecmp(name, "'")) {
        CHECK(next_word(word) && find(word), "no word %s", word);
        compile(P_LIT), comma((cell)find(word));
    } else if (!strcasecmp(name, ";")) {
        compile(P_EXIT), latest = defining, defining = NULL;
    } else {
        return 0;
    }
    return 1;
}

/* One word of the program. */
static void interpret(const char *name)
{
    char word[64], *end;
    if (!strcasecmp(name, "(")) {
        for (int c; (c = next_char()) != ')' && c != EOF;)
            ;
    } else if (!strcasecmp(name, "\\")) {
        for (int c; (c = next_char()) != '\n' && c != EOF;)
            ;
    } else if (defining && structure(name)) {
    } else if (!strcasecmp(name, ".\"")) {
        for (int c; (c = next_char()) != '"' && c != EOF;)
            putchar(c);
    } else if (!strcasecmp(name, ":")) {
        CHECK(next_word(word), "a name is missing");
        defining = header(word, 0);
    } else if (!strcasecmp(name, "variable") || !strcasecmp(name, "create")) {
        CHECK(next_word(word), "a name is missing");
        latest = header(word, DATA);
        if ((name[0] | 32) == 'v')
            comma(0);
    } else if (!strcasecmp(name, "constant")) {
        CHECK(next_word(word), "a name is missing");
        latest = header(word, CONSTANT);
        comma(pop());
    } else if (!strcasecmp(name, "'")) {
        CHECK(next_word(word) && find(word), "no word %s", word);
        push((cell)find(word));
    } else if (find(name)) {
        if (defining)
            comma((cell)find(name));
        else
            execute(find(name));
    } else {
        cell number = strtol(name, &end, 10);
        CHECK(*end == 0, "what is %s?", name);
        if (defining)
            compile(P_LIT), comma(number);
        else
            push(number);
    }
}

int main(int argc, char **argv)
{
    struct paged_region_options options = {
        .base = (void *)BASE, .pages = PAGES, .max_pages = argc > 1 ? atoi(argv[1]) : 3, .callback = mapped,
        .backing = argc > 2 && !strcmp(argv[2], "swap") ? PAGED_SWAP : PAGED_FILES,
    };
    struct paged_region *region = paged_region_create(&options);
    CHECK(region, "no region");
    here = paged_region_base(region);
    sp = sp0 = (cell *)(here + PAGES * PAGE);
    rp = rp0 = (cell *)(here + 14 * PAGE);
    for (int i = 0; i < P_COUNT; i++) {
        primitive_words[i] = latest = header(primitive_names[i], PRIMITIVE);
        comma(i);
    }
    char word[64];
    while (next_word(word))
        interpret(word);
    CHECK(sp == sp0, "%ld values are left", (long)(sp0 - sp));
    fprintf(stderr, "%ld pages mapped, %ld unmapped\n", mapped_pages, unmapped_pages);
    CHECK(paged_region_destroy(region) == 0, "destroy");
    return 0;
}
