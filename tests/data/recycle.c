/* Joins targets that end during the join, and whose pids the kernel reuses at once.
 *
 *   recycle JOINS WORKERS COMMAND...   as pid 1 of a pid namespace with a /proc of its own;
 *                                      %p in COMMAND is the target's pid, %i its inode number
 *   recycle report                     the program of COMMAND: prints its namespaces
 *
 * Out: "NAME NUMBER" lines, and "said NUMBER MESSAGE" for each message without a join.
 *
 *   joined     in all four namespaces of the intended target
 *   ended      killed with the pid namespace, before it printed its namespaces
 *   refused    status 125
 *   failed     otherwise, without a report of namespaces
 *   other      in all namespaces of another process: the next one of this pid, or the caller
 *   mixed      in some of one and some of another
 *   lost       a target that did not end, but was not joined
 *   lived      targets that did not end
 *   earlier    the pid belonged to another process before the join began
 *   meanwhile  the pid belonged to another process before the join was over, in most cases
 *   wraps      the pid counter wrapped around */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TYPES = 4, MESSAGES = 32, LENGTH = 256, WORDS = 64, WORKERS = 16 };
/* Of this many joins, one has a target that does not end, and one a pid that is
   another's before the join begins. */
enum { KINDS = 8, LIVES = 0, BEFORE = 1 };

static const char *const types[TYPES] = {"mnt", "uts", "ipc", "pid"};

/* The namespaces of a process, kept open: otherwise the kernel reuses their numbers. */
struct place {
    ino_t number[TYPES];
    int held[TYPES];
};

enum { JOINED, ENDED, REFUSED, FAILED, OTHER, MIXED, LOST, LIVED, EARLIER, MEANWHILE, WRAPS, COUNTS };
static const char *const names[COUNTS] = {"joined", "ended",   "refused",   "failed", "other", "mixed",
                                          "lost",   "lived", "earlier", "meanwhile", "wraps"};

/* The state of a worker. */
struct counts {
    unsigned of[COUNTS];
    struct {
        unsigned count;
        char text[LENGTH];
    } message[MESSAGES];
};

static void die(const char *what) {
    perror(what);
    _exit(1);
}

static struct place place_of(const char *process) {
    struct place place;
    for (int i = 0; i < TYPES; i++) {
        char path[64];
        struct stat status;
        snprintf(path, sizeof path, "/proc/%s/ns/%s", process, types[i]);
        place.held[i] = open(path, O_RDONLY | O_CLOEXEC);
        if (place.held[i] < 0 || fstat(place.held[i], &status)) die(path);
        place.number[i] = status.st_ino;
    }
    return place;
}

static void leave(const struct place *place) {
    for (int i = 0; i < TYPES; i++) close(place->held[i]);
}

static int is_at(const struct place *place, const uintmax_t number[TYPES]) {
    for (int i = 0; i < TYPES; i++)
        if (place->number[i] != number[i]) return 0;
    return 1;
}

static int report(void) {
    struct place at = place_of("self");
    char line[128];
    int length = snprintf(line, sizeof line, "placed %ju %ju %ju %ju\n", (uintmax_t)at.number[0],
                          (uintmax_t)at.number[1], (uintmax_t)at.number[2], (uintmax_t)at.number[3]);
    return write(1, line, (size_t)length) != length;
}

/* Creates a process in new namespaces, with this pid unless it is 0; returns 0 if the pid
 * is in use. */
static pid_t target(pid_t wanted, int pid_namespace) {
    /* In the innermost pid namespace first. */
    pid_t tids[2] = {pid_namespace ? 1 : wanted, wanted};
    struct clone_args how = {
        .flags = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | (pid_namespace ? CLONE_NEWPID : 0),
        .exit_signal = SIGCHLD,
        .set_tid = wanted ? (uintptr_t)tids : 0,
        .set_tid_size = wanted ? 1 + (pid_namespace != 0) : 0,
    };
    pid_t pid = (pid_t)syscall(SYS_clone3, &how, sizeof how);
    if (pid < 0 && errno == EEXIST) return 0;
    if (pid < 0) die("clone3");
    while (pid == 0) pause();
    return pid;
}

static struct place place_of_target(pid_t pid) {
    char name[16];
    snprintf(name, sizeof name, "%d", pid);
    return place_of(name);
}

static void end(pid_t pid) {
    if (kill(pid, SIGKILL) || waitpid(pid, NULL, 0) != pid) die("the target's end");
}

/* Retries for a while: the process with this pid may end. */
static pid_t again(pid_t pid, int pid_namespace) {
    for (int tries = 0; tries < 50; tries++) {
        if (target(pid, pid_namespace)) return pid;
        usleep(100);
    }
    return 0;
}

static uintmax_t inode(pid_t pid) {
    struct stat status;
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0 || fstat(fd, &status)) die("pidfd");
    close(fd);
    return status.st_ino;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

static void add_message(struct counts *counts, const char *text, unsigned times) {
    for (int i = 0; i < MESSAGES; i++) {
        if (counts->message[i].count && strcmp(counts->message[i].text, text)) continue;
        counts->message[i].count += times;
        snprintf(counts->message[i].text, LENGTH, "%s", text);
        return;
    }
    die("too many messages");
}

/* The first line with N in place of numbers: messages that differ only in numbers are
 * counted together. */
static void note(struct counts *counts, const char *output) {
    char text[LENGTH];
    size_t length = 0;
    for (; *output && *output != '\n' && length < sizeof text - 1; output++) {
        if (!isdigit((unsigned char)*output))
            text[length++] = *output;
        else if (!length || text[length - 1] != 'N')
            text[length++] = 'N';
    }
    text[length] = 0;
    add_message(counts, text, 1);
}

/* Starts COMMAND, whose output is read from *pipe_end. */
static pid_t start(char **command, pid_t pid, uintmax_t number, int *pipe_end) {
    static char word[WORDS][LENGTH];
    char *words[WORDS + 1];
    int count = 0;
    for (; command[count]; count++) {
        if (count == WORDS) die("too many words");
        const char *from = command[count];
        char *to = word[count], *last = word[count] + LENGTH - 32;
        for (; *from && to < last; from++) {
            if (from[0] == '%' && from[1] == 'p')
                to += sprintf(to, "%d", pid), from++;
            else if (from[0] == '%' && from[1] == 'i')
                to += sprintf(to, "%ju", number), from++;
            else
                *to++ = *from;
        }
        *to = 0;
        words[count] = word[count];
    }
    words[count] = NULL;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) die("pipe");
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, ends[1], 1);
    posix_spawn_file_actions_adddup2(&files, ends[1], 2);
    pid_t joiner;
    errno = posix_spawnp(&joiner, words[0], &files, NULL, words, environ);
    if (errno) die(words[0]);
    posix_spawn_file_actions_destroy(&files);
    close(ends[1]);
    *pipe_end = ends[0];
    return joiner;
}

static void join(struct counts *counts, char **command, const struct place *own, double *usual) {
    static pid_t last;
    int kind = rand() % KINDS, pid_namespace = rand() % 2;
    pid_t pid = target(0, pid_namespace), other = 0;
    /* The kernel uses all pids before it reuses one. */
    counts->of[WRAPS] += pid < last;
    last = pid;
    struct place meant = place_of_target(pid), replaced = meant;
    uintmax_t number = inode(pid);
    if (kind == BEFORE) {
        end(pid);
        other = again(pid, pid_namespace);
        counts->of[EARLIER] += other != 0;
    }
    double begun = now();
    int output_end;
    pid_t joiner = start(command, pid, number, &output_end);
    if (kind != LIVES && kind != BEFORE) {
        usleep((useconds_t)(*usual * 1.25 * rand() / RAND_MAX));
        end(pid);
        other = again(pid, rand() % 2);
        counts->of[MEANWHILE] += other != 0;
    }
    if (other) replaced = place_of_target(other);
    char output[4096];
    size_t length = 0;
    ssize_t got;
    while ((got = read(output_end, output + length, sizeof output - 1 - length)) > 0) length += (size_t)got;
    output[length] = 0;
    close(output_end);
    int status;
    if (waitpid(joiner, &status, 0) != joiner) die("waitpid");
    if (kind == LIVES) *usual = *usual * 0.9 + (now() - begun) * 0.1;
    counts->of[LIVED] += kind == LIVES;

    uintmax_t at[TYPES];
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1, result;
    const char *line = strstr(output, "placed ");
    if (line && sscanf(line, "placed %ju %ju %ju %ju", &at[0], &at[1], &at[2], &at[3]) == TYPES) {
        result = is_at(&meant, at)                                       ? JOINED
                 : (other && is_at(&replaced, at)) || is_at(own, at) ? OTHER
                                                                         : MIXED;
    } else if (kind == LIVES) {
        result = LOST;
    } else if (pid_namespace && length == 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
        /* The program, with the first process of its pid namespace. */
        result = ENDED;
    } else {
        result = code == 125 ? REFUSED : FAILED;
    }
    counts->of[result]++;
    if (result == REFUSED || result == FAILED || result == LOST) note(counts, output);
    if (kind == LIVES) end(pid);
    if (other) {
        end(other);
        leave(&replaced);
    }
    leave(&meant);
}

/* Few pids, on kernels with a limit per pid namespace (Linux 6.14). */
static void few_pids(void) {
    struct utsname kernel;
    int major = 0, minor = 0;
    if (uname(&kernel) || sscanf(kernel.release, "%d.%d", &major, &minor) != 2) die("uname");
    if (major < 6 || (major == 6 && minor < 14)) return;
    FILE *file = fopen("/proc/sys/kernel/pid_max", "w");
    if (!file || fprintf(file, "400\n") < 0 || fclose(file)) die("pid_max");
}

int main(int argc, char **argv) {
    if (argc == 2 && !strcmp(argv[1], "report")) return report();
    unsigned joins = argc > 3 ? (unsigned)atoi(argv[1]) : 0, workers = argc > 3 ? (unsigned)atoi(argv[2]) : 0;
    if (!joins || !workers || workers > WORKERS || getpid() != 1) {
        fprintf(stderr, "recycle JOINS WORKERS COMMAND..., as pid 1\n");
        return 1;
    }
    few_pids();
    pid_t started[WORKERS];
    struct counts *all = mmap(NULL, sizeof *all * WORKERS, PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) die("mmap");
    for (unsigned worker = 0; worker < workers; worker++) {
        pid_t pid = fork();
        if (pid < 0) die("fork");
        started[worker] = pid;
        if (pid) continue;
        srand(worker + 1);
        struct place own = place_of("self");
        double usual = 5000;
        for (unsigned n = worker; n < joins; n += workers) join(&all[worker], argv + 3, &own, &usual);
        _exit(0);
    }
    /* Reaps orphans as well. */
    int status, failed = 0;
    for (pid_t pid; (pid = wait(&status)) > 0;)
        for (unsigned worker = 0; worker < workers; worker++) failed |= pid == started[worker] && status;
    static struct counts sum;
    for (unsigned worker = 0; worker < workers; worker++) {
        const struct counts *one = &all[worker];
        for (int i = 0; i < COUNTS; i++) sum.of[i] += one->of[i];
        for (int i = 0; i < MESSAGES && one->message[i].count; i++)
            add_message(&sum, one->message[i].text, one->message[i].count);
    }
    for (int i = 0; i < COUNTS; i++) printf("%s %u\n", names[i], sum.of[i]);
    for (int i = 0; i < MESSAGES && sum.message[i].count; i++)
        printf("said %u %s\n", sum.message[i].count, sum.message[i].text);
    return failed != 0;
}
