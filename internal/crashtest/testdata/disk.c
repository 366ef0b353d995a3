// A disk that breaks, for the tests of this folder: loaded with LD_PRELOAD, it
// stands between SQLite and the C library's calls on the database's files.
//
// DISK_FILES is the beginning of their paths (all but -shm, which a power cut may
// take); DISK_SHADOW the beginning of the paths of their shadows. A shadow gets
// what was written only when its file is synced: it is what a power cut leaves.
// The real sync is not made. DISK_CONTROL names a file that holds a struct
// control, through which the test lets calls fail while the process runs.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPEN = 1, WRITE = 2, SYNC = 4, TRUNCATE = 8, UNLINK = 16, READ = 32 };

struct control {
	uint32_t calls;    // which calls count, and may fail: a sum of the above
	uint32_t error;    // errno
	uint32_t permille; // how many of a thousand fail
	uint32_t nth;      // this one fails, counted from 1; 0: none
	uint32_t kill;     // at this one the process is killed; 0: at none
	uint32_t passed;   // calls that counted
	uint32_t failed;
};

struct range { off_t from, to; };

struct file {
	char path[512];
	struct range *dirty;
	size_t n, room;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct file files[16];
static unsigned char of[1 << 16]; // by descriptor: 1 + index of its file
static struct control *control;
static const char *watched, *shadow;

static int (*real_open)(const char *, int, ...), (*real_close)(int), (*real_ftruncate)(int, off_t), (*real_unlink)(const char *), (*real_fsync)(int), (*real_rename)(const char *, const char *);
static ssize_t (*real_write)(int, const void *, size_t), (*real_pwrite)(int, const void *, size_t, off_t), (*real_read)(int, void *, size_t);

__attribute__((constructor)) static void begin(void) {
	real_open = dlsym(RTLD_NEXT, "open64"), real_close = dlsym(RTLD_NEXT, "close"), real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
	real_unlink = dlsym(RTLD_NEXT, "unlink"), real_fsync = dlsym(RTLD_NEXT, "fsync"), real_rename = dlsym(RTLD_NEXT, "rename");
	real_write = dlsym(RTLD_NEXT, "write"), real_pwrite = dlsym(RTLD_NEXT, "pwrite64"), real_read = dlsym(RTLD_NEXT, "read");
	watched = getenv("DISK_FILES"), shadow = getenv("DISK_SHADOW");
	const char *path = getenv("DISK_CONTROL");
	int fd = path ? real_open(path, O_RDWR | O_CLOEXEC) : -1;
	if (fd >= 0) {
		void *at = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		control = at == MAP_FAILED ? NULL : at;
		real_close(fd);
	}
}

// fails says whether a call is to fail, or does not return at all.
static int fails(int call) {
	if (!control || !(control->calls & call)) return 0;
	uint32_t n = __atomic_add_fetch(&control->passed, 1, __ATOMIC_RELAXED);
	if (control->kill == n) raise(SIGKILL);
	if (control->nth != n && (uint32_t)(random() % 1000) >= control->permille) return 0;
	__atomic_add_fetch(&control->failed, 1, __ATOMIC_RELAXED);
	errno = control->error;
	return 1;
}

static int index_of(const char *path) {
	size_t n = strlen(path);
	if (!watched || strncmp(path, watched, strlen(watched)) || n >= sizeof files[0].path || (n > 4 && !strcmp(path + n - 4, "-shm"))) return -1;
	for (int i = 0; i < 16; i++) {
		if (!files[i].path[0]) strcpy(files[i].path, path);
		if (!strcmp(files[i].path, path)) return i;
	}
	fprintf(stderr, "disk.c: more files than it can watch\n");
	abort();
}

static struct file *file_of(int fd) { return fd >= 0 && fd < 1 << 16 && of[fd] ? &files[of[fd] - 1] : NULL; }

static const char *shadow_of(const char *path) {
	static char name[1024]; // under the lock
	snprintf(name, sizeof name, "%s%s", shadow, path + strlen(watched));
	return name;
}

static void touched(struct file *f, off_t from, off_t to) {
	pthread_mutex_lock(&lock);
	if (f->n && f->dirty[f->n - 1].to == from) f->dirty[f->n - 1].to = to;
	else {
		if (f->n == f->room && !(f->dirty = realloc(f->dirty, (f->room = 2 * f->room + 64) * sizeof(struct range)))) abort();
		f->dirty[f->n++] = (struct range){from, to};
	}
	pthread_mutex_unlock(&lock);
}

// keep brings the shadow of a file up to date: from now on it survives.
static void keep(int fd, struct file *f) {
	static char page[1 << 16];
	if (!shadow) return;
	pthread_mutex_lock(&lock);
	int out = real_open(shadow_of(f->path), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct stat now;
	if (out < 0 || fstat(fd, &now)) abort();
	for (size_t i = 0; i < f->n; i++)
		for (off_t at = f->dirty[i].from; at < f->dirty[i].to;) {
			size_t want = f->dirty[i].to - at < (off_t)sizeof page ? (size_t)(f->dirty[i].to - at) : sizeof page;
			ssize_t n = pread(fd, page, want, at);
			if (n <= 0) break; // cut off since
			if (real_pwrite(out, page, n, at) != n) abort();
			at += n;
		}
	if (real_ftruncate(out, now.st_size)) abort();
	f->n = 0;
	real_close(out);
	pthread_mutex_unlock(&lock);
}

int open(const char *path, int flags, ...) {
	va_list more;
	va_start(more, flags);
	mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
	va_end(more);
	int i = index_of(path);
	if (i >= 0 && fails(OPEN)) return -1;
	int fd = real_open(path, flags, mode);
	if (fd >= 0 && fd < 1 << 16) of[fd] = i + 1;
	return fd;
}
int open64(const char *path, int flags, ...) __attribute__((alias("open")));

int close(int fd) {
	if (fd >= 0 && fd < 1 << 16) of[fd] = 0;
	return real_close(fd);
}

ssize_t write(int fd, const void *data, size_t n) {
	struct file *f = file_of(fd);
	if (f && fails(WRITE)) return -1;
	off_t at = f ? lseek(fd, 0, SEEK_CUR) : 0;
	ssize_t did = real_write(fd, data, n);
	if (f && did > 0) touched(f, at, at + did);
	return did;
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at) {
	struct file *f = file_of(fd);
	if (f && fails(WRITE)) return -1;
	ssize_t did = real_pwrite(fd, data, n, at);
	if (f && did > 0) touched(f, at, at + did);
	return did;
}
ssize_t pwrite64(int fd, const void *data, size_t n, off_t at) __attribute__((alias("pwrite")));

ssize_t read(int fd, void *data, size_t n) {
	if (file_of(fd) && fails(READ)) return -1;
	return real_read(fd, data, n);
}

int ftruncate(int fd, off_t size) {
	struct file *f = file_of(fd);
	return f && fails(TRUNCATE) ? -1 : real_ftruncate(fd, size);
}
int ftruncate64(int fd, off_t size) __attribute__((alias("ftruncate")));

int fsync(int fd) {
	struct file *f = file_of(fd);
	if (!f) return real_fsync(fd);
	if (fails(SYNC)) return -1;
	keep(fd, f);
	return shadow ? 0 : real_fsync(fd);
}
int fdatasync(int fd) __attribute__((alias("fsync")));

int unlink(const char *path) {
	int i = index_of(path);
	if (i >= 0 && fails(UNLINK)) return -1;
	if (i >= 0 && shadow) {
		pthread_mutex_lock(&lock);
		files[i].n = 0;
		real_unlink(shadow_of(path));
		pthread_mutex_unlock(&lock);
	}
	return real_unlink(path);
}

int rename(const char *from, const char *to) {
	if (index_of(from) >= 0 || index_of(to) >= 0) abort(); // SQLite renames nothing; learn it here when it begins to
	return real_rename(from, to);
}
