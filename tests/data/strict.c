/* Tries operations that the policy strict must refuse.
 *
 * strict bystander   makes the objects below, prints "ready" and waits
 * strict probe       prints a line for each probe: its name, and "open" or the errno
 *
 * A name that begins with + is an operation that such programs need. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/netlink.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <termios.h>
#include <unistd.h>
#include <utime.h>

#define OWN "/tmp/own"
#define KEY 0x6e7378
#define PORT 7777

static pid_t other; /* the bystander */
static struct timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};

static socklen_t named(struct sockaddr_un *address, const char *path) {
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    /* @ stands for the abstract namespace. */
    strncpy(address->sun_path, path, sizeof address->sun_path - 1);
    if (path[0] == '@') address->sun_path[0] = 0;
    return offsetof(struct sockaddr_un, sun_path) + strlen(path);
}

static struct sockaddr_in local(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static int unix_socket(int type, const char *path, int listening) {
    struct sockaddr_un address;
    socklen_t length = named(&address, path);
    int fd = socket(AF_UNIX, type, 0);
    if (fd < 0) return -1;
    if (!listening) return connect(fd, (void *)&address, length);
    if (path[0] != '@') unlink(path);
    if (bind(fd, (void *)&address, length)) return -1;
    return type == SOCK_STREAM ? listen(fd, 8) : 0;
}

static int in_child(int (*act)(void)) {
    fflush(stdout);
    pid_t child = fork();
    if (child < 0) return -1;
    if (child == 0) {
        int result = act();
        _exit(result < 0 ? errno : 0);
    }
    int status;
    if (waitpid(child, &status, 0) < 0) return -1;
    errno = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
    return errno ? -1 : 0;
}

static int run_memory(void) {
    char buffer[65536];
    int to = syscall(SYS_memfd_create, "program", 0);
    int from = open("/proc/self/exe", O_RDONLY);
    ssize_t got;
    if (to < 0 || from < 0) return -1;
    while ((got = read(from, buffer, sizeof buffer)) > 0)
        if (write(to, buffer, got) != got) return -1;
    char *words[] = {"strict", 0}, *none[] = {0};
    syscall(SYS_execveat, to, "", words, none, AT_EMPTY_PATH);
    return -1;
}
static int leave(void) { return 0; }

/* Attributes of a file of one's own. */
#define FILE_PROBES \
    P(lease, fcntl(own, F_SETLEASE, F_RDLCK) ? -1 : fcntl(own, F_SETLEASE, F_UNLCK)) \
    P(write, open(OWN, O_WRONLY)) \
    P(append, open(OWN, O_WRONLY | O_APPEND)) \
    P(open_truncate, open(OWN, O_RDONLY | O_TRUNC)) \
    P(create, open("/tmp/new", O_CREAT | O_WRONLY, 0600)) \
    P(unnamed, open("/tmp", O_TMPFILE | O_RDWR, 0600)) \
    P(truncate, truncate(OWN, 0)) \
    P(mkdir, mkdir("/tmp/made", 0700)) \
    P(rmdir, rmdir("/tmp/empty")) \
    P(mknod_fifo, mknod("/tmp/fifo", S_IFIFO | 0600, 0)) \
    P(mknod_file, mknod("/tmp/file", S_IFREG | 0600, 0)) \
    P(mknod_device, mknod("/tmp/null", S_IFCHR | 0600, 0x103)) \
    P(symlink, symlink(OWN, "/tmp/symlink")) \
    P(link, link(OWN, "/tmp/link")) \
    P(linkat, linkat(AT_FDCWD, OWN, AT_FDCWD, "/tmp/linkat", 0)) \
    P(rename, rename("/tmp/a", "/tmp/b")) \
    P(renameat2, syscall(SYS_renameat2, AT_FDCWD, "/tmp/c", AT_FDCWD, "/tmp/d", 0)) \
    P(unlink, unlink("/tmp/gone")) \
    P(unlinkat, unlinkat(AT_FDCWD, "/tmp/gonedir", AT_REMOVEDIR)) \
    P(chmod, syscall(SYS_fchmodat, AT_FDCWD, OWN, 0600)) \
    P(chmod_set_user_id, syscall(SYS_fchmodat, AT_FDCWD, OWN, 04755)) \
    P(fchmod, fchmod(own, 0600)) \
    P(fchmodat2, syscall(452, AT_FDCWD, OWN, 0600, 0)) \
    P(chown, syscall(SYS_fchownat, AT_FDCWD, OWN, 0, 0, 0)) \
    P(fchown, fchown(own, 0, 0)) \
    P(utimensat, utimensat(AT_FDCWD, OWN, now, 0)) \
    P(futimens, futimens(own, now)) \
    P(utime_now, utimensat(AT_FDCWD, OWN, 0, 0)) \
    P(setxattr, setxattr(OWN, "user.a", "x", 1, 0)) \
    P(lsetxattr, lsetxattr(OWN, "user.b", "x", 1, 0)) \
    P(fsetxattr, fsetxattr(own, "user.c", "x", 1, 0)) \
    P(removexattr, removexattr(OWN, "user.a")) \
    P(lremovexattr, lremovexattr(OWN, "user.b")) \
    P(fremovexattr, fremovexattr(own, "user.c")) \
    P(chattr, (number = FS_NODUMP_FL, ioctl(own, FS_IOC_SETFLAGS, &number))) \
    P(chattr_ignored_bits, (number = 0, syscall(SYS_ioctl, own, FS_IOC_SETFLAGS | 1UL << 32, &number))) \
    P(oom_score_adj, open(of_other("oom_score_adj"), O_WRONLY)) \
    P(sysctl, open("/proc/sys/kernel/hostname", O_WRONLY))

#ifdef __x86_64__
#define OLD_PROBES \
    P(creat, syscall(SYS_creat, "/tmp/creat", 0600)) \
    P(old_chmod, syscall(SYS_chmod, OWN, 0600)) \
    P(old_chown, syscall(SYS_chown, OWN, 0, 0)) \
    P(old_lchown, syscall(SYS_lchown, OWN, 0, 0)) \
    P(old_utime, syscall(SYS_utime, OWN, 0)) \
    P(old_utimes, syscall(SYS_utimes, OWN, 0)) \
    P(old_futimesat, syscall(SYS_futimesat, AT_FDCWD, OWN, 0))
#else
#define OLD_PROBES
#endif

/* Other processes. */
#define PROCESS_PROBES \
    P(kill, kill(other, 0)) \
    P(kill_group, kill(-getpgid(other), 0)) \
    P(tgkill, syscall(SYS_tgkill, other, other, 0)) \
    P(tkill, syscall(SYS_tkill, other, 0)) \
    P(pidfd_send_signal, syscall(SYS_pidfd_send_signal, syscall(SYS_pidfd_open, other, 0), 0, 0, 0)) \
    P(sigqueue, sigqueue(other, 0, (union sigval){0})) \
    P(prlimit, (syscall(SYS_prlimit64, other, RLIMIT_CPU, 0, &limit), syscall(SYS_prlimit64, other, RLIMIT_CPU, &limit, 0))) \
    P(setpriority, setpriority(PRIO_PROCESS, other, 0)) \
    P(setpriority_user, setpriority(PRIO_USER, 0, 0)) \
    P(sched_setaffinity, sched_setaffinity(other, sizeof cpus, &cpus)) \
    P(sched_setscheduler, sched_setscheduler(other, SCHED_OTHER, &(struct sched_param){0})) \
    P(sched_setparam, sched_setparam(other, &(struct sched_param){0})) \
    P(ioprio_set, syscall(SYS_ioprio_set, 1, other, 2 << 13 | 4)) \
    P(ptrace, ptrace(PTRACE_SEIZE, other, 0, 0)) \
    P(process_vm_readv, process_vm_readv(other, &here, 1, &there, 1, 0)) \
    P(pidfd_getfd, syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, other, 0), 1, 0)) \
    P(process_madvise, syscall(SYS_process_madvise, syscall(SYS_pidfd_open, other, 0), &page, 1, MADV_COLD, 0))

/* Objects of System V, POSIX and UNIX IPC that other processes share. */
#define IPC_PROBES \
    P(shmget, shmget(KEY, 0, 0)) \
    P(shmget_new, shmget(IPC_PRIVATE, 4096, 0600)) \
    P(shmat, (long)shmat(object("shm"), 0, 0) == -1 ? -1 : 0) \
    P(shmctl, shmctl(object("shm"), IPC_STAT, &shm)) \
    P(semget, semget(KEY, 0, 0)) \
    P(semop, semop(object("sem"), &(struct sembuf){0, 1, IPC_NOWAIT}, 1)) \
    P(semctl, semctl(object("sem"), 0, SETVAL, 1)) \
    P(msgget, msgget(KEY, 0)) \
    P(msgsnd, msgsnd(object("msg"), &message, 1, IPC_NOWAIT)) \
    P(msgrcv, msgrcv(object("msg"), &message, 1, 0, IPC_NOWAIT)) \
    P(msgctl, msgctl(object("msg"), IPC_STAT, &queue)) \
    P(mq_open, mq_open("/probe", O_WRONLY)) \
    P(mq_new, mq_open("/new", O_CREAT | O_RDWR, 0600, 0)) \
    P(mq_unlink, mq_unlink("/spare")) \
    P(unix_stream, unix_socket(SOCK_STREAM, "/tmp/stream", 0)) \
    P(unix_datagram, unix_socket(SOCK_DGRAM, "/tmp/datagram", 0)) \
    P(unix_abstract, unix_socket(SOCK_STREAM, "@probe", 0)) \
    P(unix_bind, unix_socket(SOCK_STREAM, "/tmp/bound", 1)) \
    P(unix_bind_abstract, unix_socket(SOCK_STREAM, "@bound", 1)) \
    P(pair_of_datagrams, (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) ? -1 : sendto(pair[0], "x", 1, 0, (void *)&datagram, length))) \
    P(pair_of_raws, (socketpair(AF_UNIX, SOCK_RAW, 0, pair) ? -1 : connect(pair[0], (void *)&datagram, length))) \
    P(tcp_connect, connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&tcp, sizeof tcp)) \
    P(tcp_bind, bind(socket(AF_INET, SOCK_STREAM, 0), (void *)&free_port, sizeof free_port)) \
    P(udp, sendto(socket(AF_INET, SOCK_DGRAM, 0), "x", 1, 0, (void *)&tcp, sizeof tcp)) \
    P(raw, socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)) \
    P(packet, socket(AF_PACKET, SOCK_RAW, 0)) \
    P(netlink, socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE)) \
    P(memory_program, in_child(run_memory)) \
    P(memfd_create, syscall(SYS_memfd_create, "x", 0)) \
    P(keyctl, syscall(SYS_keyctl, 0, -3, 1)) \
    P(add_key, syscall(SYS_add_key, "user", "x", "x", 1, -2))

/* Operations that strict allows. */
#define NEEDED_PROBES \
    N(read, open(OWN, O_RDONLY)) \
    N(stat, stat(OWN, &about)) \
    N(list, open("/tmp", O_RDONLY | O_DIRECTORY)) \
    N(null, write(open("/dev/null", O_WRONLY), "x", 1)) \
    N(fork, in_child(leave)) \
    N(pipe, pipe(pair)) \
    N(socketpair, (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) ? -1 : send(pair[0], "x", 1, 0))) \
    N(seqpacket, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair)) \
    N(own_limit, (getrlimit(RLIMIT_CORE, &core), setrlimit(RLIMIT_CORE, &core))) \
    N(limit_of_other, syscall(SYS_prlimit64, other, RLIMIT_CPU, 0, &limit)) \
    N(own_priority, setpriority(PRIO_PROCESS, 0, 0)) \
    N(own_affinity, sched_setaffinity(0, sizeof cpus, &cpus)) \
    N(own_signal, kill(getpid(), 0)) \
    N(own_memory, mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0) \
    N(terminal, tcgetattr(1, &terminal) && errno != ENOTTY ? -1 : 0) \
    N(readable_bytes, (pipe(pair), ioctl(pair[0], FIONREAD, &number)))

static const char *of_other(const char *file) {
    static char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", other, file);
    return path;
}

/* The id of an object of the bystander. */
static int object(const char *kind) {
    char path[64];
    int number = -1;
    snprintf(path, sizeof path, "/tmp/id.%s", kind);
    FILE *file = fopen(path, "r");
    if (file) fscanf(file, "%d", &number), fclose(file);
    return number;
}

static void note(const char *kind, int number) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/id.%s", kind);
    FILE *file = fopen(path, "w");
    fprintf(file, "%d\n", number);
    fclose(file);
}

static int bystander(void) {
    struct { long type; char text; } message = {1, 'x'};
    struct sockaddr_in tcp = local(PORT);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    const char *files[] = {OWN, "/tmp/a", "/tmp/c", "/tmp/gone"};
    for (int i = 0; i < 4; i++) close(open(files[i], O_CREAT | O_WRONLY, 0644));
    mkdir("/tmp/empty", 0700), mkdir("/tmp/gonedir", 0700);
    note("pid", getpid());
    note("shm", shmget(KEY, 4096, IPC_CREAT | 0666));
    note("sem", semget(KEY, 1, IPC_CREAT | 0666));
    note("msg", msgget(KEY, IPC_CREAT | 0666));
    msgsnd(object("msg"), &message, 1, 0);
    mq_open("/probe", O_CREAT | O_RDWR, 0666, 0), mq_open("/spare", O_CREAT | O_RDWR, 0666, 0);
    if (unix_socket(SOCK_STREAM, "/tmp/stream", 1) || unix_socket(SOCK_DGRAM, "/tmp/datagram", 1) ||
        unix_socket(SOCK_STREAM, "@probe", 1) || bind(listener, (void *)&tcp, sizeof tcp) || listen(listener, 8))
        return 1;
    setpgid(0, 0);
    puts("ready"), fflush(stdout);
    for (;;) pause();
}

int main(int count, char **words) {
    if (count < 2) return 0;
    if (!strcmp(words[1], "bystander")) return bystander();
    other = object("pid");
    int own = open(OWN, O_RDONLY), number = 0, pair[2];
    struct { unsigned long soft, hard; } limit;
    struct { long type; char text; } message = {1, 'x'};
    struct shmid_ds shm;
    struct msqid_ds queue;
    struct stat about;
    struct rlimit core;
    struct termios terminal;
    /* Linked without PIE, the bystander has it at the same address. */
    struct iovec here = {&number, sizeof number}, there = {now, sizeof number};
    struct iovec page = {mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 0};
    struct sockaddr_un datagram;
    socklen_t length = named(&datagram, "/tmp/datagram");
    struct sockaddr_in tcp = local(PORT), free_port = local(0);
    cpu_set_t cpus;
    sched_getaffinity(0, sizeof cpus, &cpus);
    (void)length, (void)free_port, (void)terminal, (void)page, (void)core;
#define TELL(name, act) do { \
        errno = 0; \
        long result = (act); \
        if (result < 0) printf(name " %d\n", errno); else puts(name " open"); \
    } while (0);
#define P(name, act) TELL(#name, act)
#define N(name, act) TELL("+" #name, act)
    NEEDED_PROBES FILE_PROBES OLD_PROBES PROCESS_PROBES IPC_PROBES
    return 0;
}
