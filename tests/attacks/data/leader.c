/* The first thread ends, and another one continues: the files of /proc/PID that need
 * the first thread's memory or namespaces disappear. */
#include <pthread.h>
#include <unistd.h>

static void *live(void *argument) {
    for (;;) pause();
    return argument;
}

int main(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, live, NULL)) return 1;
    pthread_exit(NULL);
}
