/* The main thread of this process ends while another thread continues. */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static void *stay(void *unused) {
    for (;;)
        pause();
    return unused;
}

int main(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, stay, NULL) != 0)
        return 1;
    puts("ready");
    fflush(stdout);
    pthread_exit(NULL);
}
