/* A hostile program: each word of its first argument is one attack.
 *
 * Prints `harm WHAT` when the attack took effect, `denied CALL: ERRNO` when the
 * kernel refused the call that the attack needs, and exits with 0 in both cases.
 * Anything else is a mistake in the set-up: a message on standard error, status 2.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <termios.h>
#include <unistd.h>

static char **words;
static int count;

static const char *word(int index) {
    if (index < count) return words[index];
    fprintf(stderr, "hostile %s: a word is missing\n", words[1]);
    exit(2);
}

static long number(int index) { return strtoul(word(index), NULL, 0); }

static _Noreturn void harm(const char *format, ...) {
    va_list list;
    va_start(list, format);
    printf("harm ");
    vprintf(format, list);
    putchar('\n');
    fflush(stdout);
    _exit(0);
}

static _Noreturn void denied(const char *call) {
    printf("denied %s: %s\n", call, strerror(errno));
    fflush(stdout);
    _exit(0);
}

static _Noreturn void broken(const char *what) {
    fprintf(stderr, "hostile: %s: %s\n", what, strerror(errno));
    _exit(2);
}

/* The first line of a file. */
static void show(int fd, const char *what) {
    char text[128] = "";
    ssize_t length = read(fd, text, sizeof text - 1);
    if (length < 0) denied("read");
    text[strcspn(text, "\n")] = 0;
    harm("%s %s", what, text);
}

static void namespace(const char *name, char link[64]) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/ns/%s", name);
    memset(link, 0, 64);
    if (readlink(path, link, 63) < 0) broken(path);
}

/* read PATH: a file that the program must not reach. */
static void read_file(void) {
    int fd = open(word(2), O_RDONLY);
    if (fd < 0) denied("open");
    show(fd, "read");
}

/* read-joined FD PATH: the same, in the mount namespace behind a descriptor. */
static void read_joined(void) {
    if (setns(number(2), CLONE_NEWNS)) denied("setns");
    int fd = open(word(3), O_RDONLY);
    if (fd < 0) broken("open");
    show(fd, "read");
}

/* unshare FLAGS NAME: creates a namespace. */
static void unshare_one(void) {
    char before[64], after[64];
    namespace(word(3), before);
    if (unshare(number(2))) denied("unshare");
    namespace(word(3), after);
    if (!strcmp(before, after)) broken("the namespace stayed");
    harm("unshared %s", after);
}

/* clone FLAGS NAME, clone3 FLAGS NAME: creates a child in a new namespace. */
static void clone_any(void) {
    char before[64], after[64];
    namespace(word(3), before);
    struct clone_args arguments = {.flags = number(2), .exit_signal = SIGCHLD};
    long child = words[1][5] ? syscall(SYS_clone3, &arguments, sizeof arguments)
                             : syscall(SYS_clone, number(2) | SIGCHLD, 0, 0, 0, 0);
    if (child < 0) denied(words[1]);
    if (!child) {
        namespace(word(3), after);
        _exit(strcmp(before, after) ? 7 : 0);
    }
    int status;
    waitpid(child, &status, 0);
    if (WEXITSTATUS(status) != 7) broken("the namespace stayed");
    harm("%s made a %s namespace", words[1], word(3));
}

#ifdef __x86_64__
static long int80(long call, long a) {
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(call), "b"(a) : "r8", "r9", "r10", "r11", "memory");
    if (result < 0 && result > -4096) {
        errno = -result;
        return -1;
    }
    return result;
}
#endif

/* int80: unshare(CLONE_NEWUTS), by its number on i386. */
static void int_80(void) {
#ifdef __x86_64__
    char before[64], after[64];
    namespace("uts", before);
    if (int80(310, CLONE_NEWUTS)) denied("int 0x80");
    namespace("uts", after);
    if (!strcmp(before, after)) broken("the namespace stayed");
    harm("unshared by int 0x80");
#else
    broken("x86_64 only");
#endif
}

/* uring: an io_uring, whose operations bypass a filter. */
static void uring(void) {
    struct io_uring_params parameters = {0};
    long fd = syscall(SYS_io_uring_setup, 1, &parameters);
    if (fd < 0) denied("io_uring_setup");
    harm("io_uring: descriptor %ld", fd);
}

struct handle {
    struct file_handle head;
    unsigned char bytes[MAX_HANDLE_SZ];
};

/* handle-of PATH: its handle in hexadecimal, for `handle`. */
static void handle_of(void) {
    struct handle handle = {.head.handle_bytes = MAX_HANDLE_SZ};
    int mount;
    if (name_to_handle_at(AT_FDCWD, word(2), &handle.head, &mount, 0)) broken("name_to_handle_at");
    printf("%d:", handle.head.handle_type);
    for (unsigned i = 0; i < handle.head.handle_bytes; i++) printf("%02x", handle.head.f_handle[i]);
    putchar('\n');
}

/* handle HANDLE: opens a file of the host's by its handle. */
static void by_handle(void) {
    struct handle handle = {0};
    char *hex;
    handle.head.handle_type = strtol(word(2), &hex, 10);
    for (hex++; hex[0] && hex[1]; hex += 2) {
        unsigned byte;
        sscanf(hex, "%2x", &byte);
        handle.head.f_handle[handle.head.handle_bytes++] = byte;
    }
    int root = open("/", O_RDONLY | O_DIRECTORY);
    if (root < 0) broken("/");
    int fd = open_by_handle_at(root, &handle.head, O_RDONLY);
    if (fd < 0) denied("open_by_handle_at");
    show(fd, "by its handle");
}

/* pidfd PID PATH: joins the mount namespace of a process of the host. */
static void by_pidfd(void) {
    long fd = syscall(SYS_pidfd_open, number(2), 0);
    if (fd < 0) denied("pidfd_open");
    if (setns(fd, CLONE_NEWNS)) denied("setns");
    int file = open(word(3), O_RDONLY);
    if (file < 0) broken(word(3));
    show(file, "setns");
}

/* ptrace PID: attaches to a process. */
static void trace(void) {
    if (ptrace(PTRACE_SEIZE, number(2), 0, 0)) denied("ptrace");
    harm("traces process %ld", number(2));
}

/* vm PID: reads another process's memory: its stack, from /proc/PID/stat. */
static void memory(void) {
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%ld/maps", number(2));
    FILE *maps = fopen(path, "r");
    if (!maps) denied("open maps");
    unsigned long start = 0;
    while (fgets(line, sizeof line, maps))
        if (strstr(line, "r-xp") || strstr(line, "rw-p")) {
            start = strtoul(line, NULL, 16);
            break;
        }
    if (!start) denied("read maps");
    char byte[8];
    struct iovec here = {byte, sizeof byte}, there = {(void *)start, sizeof byte};
    long got = syscall(SYS_process_vm_readv, number(2), &here, 1, &there, 1, 0);
    if (got < 0) denied("process_vm_readv");
    harm("read %ld bytes of process %ld", got, number(2));
}

static void bpf_map(void) {
    union bpf_attr attributes = {
        .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
    long fd = syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes);
    if (fd < 0) denied("bpf");
    harm("bpf: a map");
}

static void userfault(void) {
    long fd = syscall(SYS_userfaultfd, O_CLOEXEC);
    if (fd < 0) denied("userfaultfd");
    harm("userfaultfd: a descriptor");
}

/* key-session NAME SECRET PROGRAM...: runs it with a key in its session keyring. */
static void key_session(void) {
    if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0) broken("a session keyring");
    const char *secret = word(3);
    if (syscall(SYS_add_key, "user", word(2), secret, strlen(secret), KEY_SPEC_SESSION_KEYRING) < 0)
        broken("add_key");
    execvp(word(4), words + 4);
    broken(word(4));
}

/* key NAME: reads a key of the session keyring. */
static void key(void) {
    long found = syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", word(2), 0);
    if (found < 0) denied("KEYCTL_SEARCH");
    char text[64] = "";
    if (syscall(SYS_keyctl, KEYCTL_READ, found, text, sizeof text - 1) < 0) denied("KEYCTL_READ");
    harm("key: %s", text);
}

/* memfd: executes a program that is in no directory. */
static void from_memory(void) {
    int in = open("/proc/self/exe", O_RDONLY), fd = syscall(SYS_memfd_create, "program", 0);
    if (fd < 0) denied("memfd_create");
    if (in < 0) denied("open /proc/self/exe");
    char chunk[65536];
    for (ssize_t got; (got = read(in, chunk, sizeof chunk)) > 0;)
        if (write(fd, chunk, got) != got) broken("memfd");
    char *arguments[] = {"program", "executed", NULL}, *none[] = {NULL};
    fexecve(fd, arguments, none);
    denied("execveat");
}

static void executed(void) { harm("the program was executed"); }

/* set-user-id: whether the program runs as the owner of its file. */
static void set_user_id(void) {
    if (getuid() != geteuid()) harm("euid %d, uid %d", geteuid(), getuid());
    errno = EPERM;
    denied("set-user-ID");
}

/* capabilities WHICH: whether a process that is not root, or inherits, has any. */
static void capabilities(void) {
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    size_t length = strlen(word(2));
    while (status && fgets(line, sizeof line, status))
        if (!strncmp(line, word(2), length)) {
            line[strcspn(line, "\n")] = 0;
            if (strtoull(line + length + 2, NULL, 16)) harm("%s", line);
            errno = 0;
            denied(word(2));
        }
    broken("/proc/self/status");
}

/* mode FILE: chmod u+s. */
static void mode(void) {
    struct stat now;
    if (chmod(word(2), 04755)) denied("chmod");
    if (stat(word(2), &now)) broken("stat");
    if (now.st_mode & S_ISUID) harm("%s is set-user-ID", word(2));
    broken("the mode stayed");
}

static void owner(void) {
    struct stat now;
    if (stat(word(2), &now)) broken("stat");
    if (chown(word(2), now.st_uid, now.st_gid)) denied("chown");
    struct stat later;
    if (stat(word(2), &later)) broken("stat");
    if (memcmp(&now.st_ctim, &later.st_ctim, sizeof now.st_ctim)) harm("%s: its ctime changed", word(2));
    broken("the file stayed as it was");
}

static void times(void) {
    struct timespec old[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    struct stat now;
    if (utimensat(AT_FDCWD, word(2), old, 0)) denied("utimensat");
    if (stat(word(2), &now)) broken("stat");
    if (now.st_mtime == 1) harm("%s: its mtime changed", word(2));
    broken("the times stayed");
}

static void attribute(void) {
    char text[8];
    if (setxattr(word(2), "user.mark", "x", 1, 0)) denied("setxattr");
    if (getxattr(word(2), "user.mark", text, sizeof text) == 1) harm("%s: an attribute", word(2));
    broken("no attribute");
}

static void file_flags(void) {
    int fd = open(word(2), O_RDONLY), flags = 0;
    if (fd < 0) broken(word(2));
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags)) denied("FS_IOC_GETFLAGS");
    flags |= FS_NODUMP_FL;
    if (ioctl(fd, FS_IOC_SETFLAGS, &flags)) denied("FS_IOC_SETFLAGS");
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) || !(flags & FS_NODUMP_FL)) broken("no flag");
    harm("%s: a flag was set", word(2));
}

/* shm-own: creates a segment; shm: writes to that of another process. */
static void segment_own(void) {
    int id = shmget(0x6e736578, 4096, IPC_CREAT | 0666);
    if (id < 0) broken("shmget");
    strcpy(shmat(id, NULL, 0), "as it was");
    for (;;) pause();
}

static void segment(void) {
    int id = shmget(0x6e736578, 0, 0);
    if (id < 0) denied("shmget");
    char *text = shmat(id, NULL, 0);
    if (text == (void *)-1) denied("shmat");
    strcpy(text, "overwritten");
    harm("another's segment was written");
}

static struct sockaddr_un address(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, word(2), sizeof address.sun_path - 1);
    return address;
}

/* unix-own PATH: a service on a Unix socket; unix: uses that of another process. */
static void service(void) {
    struct sockaddr_un own = address();
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&own, sizeof own) || listen(listener, 8)) broken("listen");
    for (;;) {
        int one = accept(listener, NULL, NULL);
        if (write(one, "at your service", 15) < 0) broken("write");
        close(one);
    }
}

static void client(void) {
    struct sockaddr_un other = address();
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0) denied("socket");
    if (connect(fd, (struct sockaddr *)&other, sizeof other)) denied("connect");
    show(fd, "a service answered:");
}

/* prlimit PID: limits another process. */
static void limit(void) {
    struct rlimit wanted = {.rlim_cur = 17, .rlim_max = 17}, found;
    if (prlimit(number(2), RLIMIT_NOFILE, &wanted, NULL)) denied("prlimit64");
    if (prlimit(number(2), RLIMIT_NOFILE, NULL, &found) || found.rlim_cur != 17) broken("prlimit");
    harm("process %ld may open 17 files", number(2));
}

/* signal PID: ends another process. */
static void end_process(void) {
    if (kill(number(2), SIGKILL)) denied("kill");
    harm("process %ld was killed", number(2));
}

/* signal-group: ends the own process group. */
static void end_group(void) {
    kill(0, SIGKILL);
    denied("kill");
}

/* type REQUEST TEXT: types into the terminal on standard input. */
static void type(void) {
    for (const char *text = word(3); *text; text++)
        if (syscall(SYS_ioctl, 0, number(2), text)) denied("ioctl");
    harm("typed");
}

/* console REQUEST: TIOCLINUX, which knows the console of a terminal. */
static void console(void) {
    int fd = open(word(3), O_RDWR | O_NOCTTY);
    if (fd < 0) denied("open");
    char subcode = 12; /* the foreground console */
    long result = syscall(SYS_ioctl, fd, number(2), &subcode);
    if (result < 0) denied("TIOCLINUX");
    harm("TIOCLINUX: console %ld", result);
}

/* steal: takes the terminal on standard input from its session. */
static void steal(void) {
    pid_t child = fork();
    if (!child) {
        if (setsid() < 0) _exit(errno);
        if (ioctl(0, TIOCSCTTY, 1)) _exit(errno);
        _exit(tcgetsid(0) == getpid() ? 200 : 201);
    }
    int status;
    waitpid(child, &status, 0);
    if (WEXITSTATUS(status) == 200) harm("the terminal was taken");
    errno = WEXITSTATUS(status);
    denied("TIOCSCTTY");
}

/* hang-up: vhangup(2) of the terminal. */
static void hang_up(void) {
    signal(SIGHUP, SIG_IGN);
    if (vhangup()) denied("vhangup");
    harm("hung up");
}

/* socket FAMILY TYPE PROTOCOL */
static void open_socket(void) {
    long fd = syscall(SYS_socket, number(2), number(3), number(4));
    if (fd < 0) denied("socket");
    int domain = 0;
    socklen_t length = sizeof domain;
    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length);
    harm("a socket of family %d", domain);
}

/* device MAJOR MINOR: creates a node for a device of the host, and reads it. */
static void device(void) {
    unlink("/tmp/disk");
    if (mknod("/tmp/disk", S_IFBLK | 0600, makedev(number(2), number(3)))) denied("mknod");
    int fd = open("/tmp/disk", O_RDONLY);
    if (fd < 0) denied("open");
    show(fd, "read from the host's disk:");
}

/* device-control PATH */
static void device_control(void) {
    int fd = open(word(2), O_RDONLY);
    if (fd < 0) denied("open");
    uint64_t size;
    if (ioctl(fd, BLKGETSIZE64, &size)) denied("BLKGETSIZE64");
    harm("a block device obeyed: %lu bytes", (unsigned long)size);
}

/* write PATH: writes to an existing or new file. */
static void write_file(void) {
    int fd = open(word(2), O_WRONLY);
    if (fd < 0 && errno == ENOENT) fd = open(word(2), O_WRONLY | O_CREAT, 0644);
    if (fd < 0) denied("open");
    if (write(fd, "written\n", 8) != 8) denied("write");
    harm("wrote %s", word(2));
}

static void mount_one(void) {
    struct stat before, after;
    if (stat("/tmp", &before)) broken("/tmp");
    if (mount("tmpfs", "/tmp", "tmpfs", 0, NULL)) denied("mount");
    if (stat("/tmp", &after)) broken("/tmp");
    if (before.st_dev == after.st_dev) broken("nothing was mounted");
    harm("mounted on /tmp");
}

/* environment NAME */
static void environment(void) {
    const char *value = getenv(word(2));
    if (value) harm("%s=%s", word(2), value);
    errno = ENOENT;
    denied(word(2));
}

static const struct {
    const char *name;
    void (*run)(void);
} attacks[] = {
    {"attribute", attribute}, {"bpf", bpf_map}, {"capabilities", capabilities},
    {"clone", clone_any}, {"clone3", clone_any}, {"console", console}, {"device", device},
    {"device-control", device_control}, {"environment", environment}, {"executed", executed},
    {"flags", file_flags}, {"handle", by_handle}, {"handle-of", handle_of}, {"hang-up", hang_up},
    {"int80", int_80}, {"key", key}, {"key-session", key_session}, {"memfd", from_memory},
    {"mode", mode}, {"mount", mount_one}, {"owner", owner}, {"pidfd", by_pidfd},
    {"prlimit", limit}, {"ptrace", trace}, {"read", read_file}, {"read-joined", read_joined},
    {"set-user-id", set_user_id},
    {"shm", segment}, {"shm-own", segment_own}, {"signal", end_process},
    {"signal-group", end_group}, {"socket", open_socket}, {"steal", steal}, {"times", times},
    {"type", type}, {"unix", client}, {"unix-own", service}, {"unshare", unshare_one},
    {"uring", uring}, {"userfaultfd", userfault}, {"vm", memory}, {"write", write_file},
};

int main(int argc, char **argv) {
    words = argv;
    count = argc;
    for (size_t i = 0; argc > 1 && i < sizeof attacks / sizeof *attacks; i++)
        if (!strcmp(argv[1], attacks[i].name)) {
            attacks[i].run();
            return 0;
        }
    fprintf(stderr, "hostile: no such attack\n");
    return 2;
}
