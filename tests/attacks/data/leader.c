/* Its first thread ends, and another one lives on: nothing of /proc/PID that
 * needs the first thread's memory or namespaces is there any more. */
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
