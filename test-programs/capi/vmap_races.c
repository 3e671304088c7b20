/* Do children have maps of their own whatever their parent's threads are doing, and does vmap_setup wait for maps
 * that are being destroyed?
 *
 *     vmap_races [FORKS] [MAPS] */
#include "../common.h"
#include <sys/wait.h>
#include <vmap.h>

static struct VMap *volatile map;
static volatile int stop;

static void *copies(void *block)
{
    char data[64];
    vmap_select_owner(1);
    while (!stop) {
        CHECK(vmap_copy_to_memory(map, block, data, sizeof data) == 0, "copy");
        struct VMap *other = vmap_create();
        CHECK(other && vmap_destroy(other) == 0, "another map: %s", vmap_strerror(vmap_error()));
    }
    return NULL;
}

static void child(void *parents)
{
    alarm(20);
    int value = 5;
    vmap_select_owner(1);
    struct VMap *own = vmap_create();
    char *block = vmap_malloc(own, 40000);
    CHECK(block && vmap_copy_to_memory(own, block + 20000, &value, sizeof value) == 0, "a map in the child");
    CHECK(vmap_copy_from_memory(map, &value, parents, sizeof value) == VMAP_ENOMAP, "the parent's map in the child");
    value = 0;
    CHECK(vmap_copy_from_memory(own, &value, block + 20000, sizeof value) == 0 && value == 5, "a copy in the child");
    _exit(0);
}

static void forks(int n)
{
    map = vmap_create();
    void *block = vmap_malloc(map, 1000);
    pthread_t thread[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&thread[i], NULL, copies, block);
    for (int i = 0; i < n; i++) {
        pid_t pid = fork();
        if (pid == 0)
            child(block);
        int status;
        CHECK(waitpid(pid, &status, 0) == pid && status == 0, "child %d: status %x", i, status);
    }
    stop = 1;
    for (int i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    CHECK(vmap_destroy(map) == 0, "destroy");
    stop = 0;
}

static struct vmap_options options = {.memory = 4 * PAGE, .swap = 1 << 20};

static void *sets_up(void *argument)
{
    while (!stop)
        vmap_setup(&options);
    return argument;
}

static void *fills(void *argument)
{
    static char data[2][400000];
    vmap_select_owner(1);
    while (!stop) {
        struct VMap *mine = map;
        void *block = mine ? vmap_malloc(mine, sizeof data[0]) : NULL;
        if (block)
            vmap_copy_to_memory(mine, block, data[argument != NULL], sizeof data[0]);
    }
    return NULL;
}

static void destroys(int n)
{
    pthread_t thread[3];
    pthread_create(&thread[0], NULL, sets_up, NULL);
    pthread_create(&thread[1], NULL, fills, NULL);
    pthread_create(&thread[2], NULL, fills, &options);
    for (int i = 0; i < n; i++) {
        CHECK((map = vmap_create()), "create");
        for (volatile int spin = 0; spin < 20000; spin++)
            ;
        struct VMap *mine = map;
        map = NULL;
        CHECK(vmap_destroy(mine) == 0, "destroy");
    }
    stop = 1;
    for (int i = 0; i < 3; i++)
        pthread_join(thread[i], NULL);
}

int main(int argc, char **argv)
{
    CHECK(vmap_setup(&options) == 0, "setup");
    vmap_select_owner(1);
    forks(argc > 1 ? atoi(argv[1]) : 100);
    said("children");
    destroys(argc > 2 ? atoi(argv[2]) : 500);
    said("maps that go while vmap_setup is called");
    return 0;
}
