/* Counts changes of files below a directory, and kills the process inside one of them.

   Loaded by LD_PRELOAD into every process of a command; inside_writes.py compiles it and fills the
   state, a file that each process maps. A write is cut off after a share of its bytes; any other
   change is made, or not, and then the process gets SIGKILL. Bytes that are written through a
   mapping of a file are not seen. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct state {
    _Atomic long count;  /* changes so far */
    long at;             /* the one to be killed in; 0 kills none */
    long permille;       /* of a write's bytes; of other changes, whether it comes before it */
    long whole;          /* whether the process group is killed */
    long struck;         /* whether it has been killed */
    char call[24];       /* by its name */
    char below[PATH_MAX]; /* the directory; none counts nothing */
};

static struct state *state;

__attribute__((constructor)) static void begin(void) {
    const char *file = getenv("TORN_WRITES");
    int handle = file ? open(file, O_RDWR | O_CLOEXEC) : -1;
    if (handle < 0) return;
    void *found = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED, handle, 0);
    close(handle);
    if (found != MAP_FAILED) state = found;
}

static int counted(const char *path) {
    size_t size = strlen(state->below);
    return size && strncmp(path, state->below, size) == 0
        && (path[size] == '/' || path[size] == '\0');
}

static int of_descriptor(int handle, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    ssize_t size = readlink(link, path, PATH_MAX - 1);
    if (size < 0) return 0;
    path[size] = '\0';
    return 1;
}

/* Return whether this change is the one to be killed in. */
static int is_it(const char *call, const char *path) {
    if (!counted(path)) return 0;
    if (atomic_fetch_add(&state->count, 1) + 1 != state->at) return 0;
    strncpy(state->call, call, sizeof state->call - 1);
    return 1;
}

static int is_it_open(const char *call, int handle) {
    char path[PATH_MAX];
    int known = errno, found;
    found = state && state->below[0] && of_descriptor(handle, path) && is_it(call, path);
    errno = known;
    return found;
}

static int is_it_named(const char *call, int directory, const char *name) {
    char path[PATH_MAX];
    int known = errno, found = 0;
    if (state && state->below[0] && name) {
        if (name[0] == '/') {
            found = is_it(call, name);
        } else {
            int whole = directory == AT_FDCWD ? getcwd(path, PATH_MAX - 2) != NULL
                                              : of_descriptor(directory, path);
            size_t size = whole ? strlen(path) : 0;
            if (whole && size + 1 + strlen(name) < PATH_MAX) {
                path[size] = '/';
                strcpy(path + size + 1, name);
                found = is_it(call, path);
            }
        }
    }
    errno = known;
    return found;
}

/* Return whether a directory is made that is there, or a file deleted that is not. */
static int changes_nothing(int directory, const char *name, int there) {
    struct stat about;
    int known = errno, exists = fstatat(directory, name, &about, AT_SYMLINK_NOFOLLOW) == 0;
    errno = known;
    return exists == there;
}

static void die(void) {
    state->struck = 1;
    kill(state->whole ? 0 : getpid(), SIGKILL);
    for (;;) pause();
}

static size_t share(size_t size) { return size * state->permille / 1000; }

#define CHANGE(is_it_here, call)                                \
    do {                                                        \
        if (is_it_here) {                                       \
            if (state->permille >= 500) (void)!(call);          \
            die();                                              \
        }                                                       \
        return call;                                            \
    } while (0)

ssize_t write(int handle, const void *data, size_t size) {
    if (is_it_open("write", handle)) {
        (void)!syscall(SYS_write, handle, data, share(size));
        die();
    }
    return syscall(SYS_write, handle, data, size);
}

ssize_t pwrite64(int handle, const void *data, size_t size, off64_t place) {
    if (is_it_open("pwrite", handle)) {
        (void)!syscall(SYS_pwrite64, handle, data, share(size), place);
        die();
    }
    return syscall(SYS_pwrite64, handle, data, size, place);
}

ssize_t pwrite(int handle, const void *data, size_t size, off_t place) {
    return pwrite64(handle, data, size, place);
}

static size_t size_of(const struct iovec *parts, int number) {
    size_t size = 0;
    for (int at = 0; at < number; at++) size += parts[at].iov_len;
    return size;
}

ssize_t writev(int handle, const struct iovec *parts, int number) {
    if (is_it_open("writev", handle)) {
        size_t left = share(size_of(parts, number));
        for (int at = 0; at < number && left; at++) {
            size_t size = parts[at].iov_len < left ? parts[at].iov_len : left;
            (void)!syscall(SYS_write, handle, parts[at].iov_base, size);
            left -= size;
        }
        die();
    }
    return syscall(SYS_writev, handle, parts, number);
}

ssize_t copy_file_range(int from, off64_t *at, int to, off64_t *there, size_t size, unsigned how) {
    if (is_it_open("copy_file_range", to)) {
        (void)!syscall(SYS_copy_file_range, from, at, to, there, 512, how);
        die();
    }
    return syscall(SYS_copy_file_range, from, at, to, there, size, how);
}

ssize_t sendfile64(int to, int from, off64_t *at, size_t size) {
    if (is_it_open("sendfile", to)) {
        (void)!syscall(SYS_sendfile, to, from, at, 512);
        die();
    }
    return syscall(SYS_sendfile, to, from, at, size);
}

ssize_t sendfile(int to, int from, off_t *at, size_t size) { return sendfile64(to, from, at, size); }

int fsync(int handle) { CHANGE(is_it_open("fsync", handle), (int)syscall(SYS_fsync, handle)); }

int fdatasync(int handle) {
    CHANGE(is_it_open("fdatasync", handle), (int)syscall(SYS_fdatasync, handle));
}

int ftruncate64(int handle, off64_t size) {
    CHANGE(is_it_open("ftruncate", handle), (int)syscall(SYS_ftruncate, handle, size));
}

int ftruncate(int handle, off_t size) { return ftruncate64(handle, size); }

int fallocate64(int handle, int mode, off64_t at, off64_t size) {
    CHANGE(is_it_open("fallocate", handle), (int)syscall(SYS_fallocate, handle, mode, at, size));
}

int fallocate(int handle, int mode, off_t at, off_t size) {
    return fallocate64(handle, mode, at, size);
}

int truncate64(const char *path, off64_t size) {
    CHANGE(is_it_named("truncate", AT_FDCWD, path), (int)syscall(SYS_truncate, path, size));
}

int truncate(const char *path, off_t size) { return truncate64(path, size); }

int renameat2(int from, const char *old, int to, const char *new, unsigned how) {
    CHANGE(is_it_named("rename", to, new), (int)syscall(SYS_renameat2, from, old, to, new, how));
}

int renameat(int from, const char *old, int to, const char *new) {
    return renameat2(from, old, to, new, 0);
}

int rename(const char *old, const char *new) {
    return renameat2(AT_FDCWD, old, AT_FDCWD, new, 0);
}

int unlinkat(int directory, const char *name, int how) {
    CHANGE(!changes_nothing(directory, name, 0) && is_it_named("unlink", directory, name),
           (int)syscall(SYS_unlinkat, directory, name, how));
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }

int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int directory, const char *name, mode_t mode) {
    CHANGE(!changes_nothing(directory, name, 1) && is_it_named("mkdir", directory, name),
           (int)syscall(SYS_mkdirat, directory, name, mode));
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
