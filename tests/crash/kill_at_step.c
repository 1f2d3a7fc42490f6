/* Loaded before the C library: kills the process right before the step of number KILL_AT_STEP, counted from 1 over all
 * threads. A step is what makes a file's name or content durable or undoes it, or a write of the database. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static void step(void)
{
    static atomic_long done;
    const char *at = getenv("KILL_AT_STEP");
    if (at != NULL && atomic_fetch_add(&done, 1) + 1 == atol(at)) {
        kill(getpid(), SIGKILL);
    }
}

#define STEP(result, name, parameters, arguments)                                   \
    result name parameters                                                          \
    {                                                                               \
        static result(*real) parameters;                                            \
        if (real == NULL) {                                                         \
            *(void **)&real = dlsym(RTLD_NEXT, #name);                              \
        }                                                                           \
        step();                                                                     \
        return real arguments;                                                      \
    }

STEP(int, fsync, (int file), (file))
STEP(int, fdatasync, (int file), (file))
STEP(int, ftruncate, (int file, off_t length), (file, length))
STEP(int, ftruncate64, (int file, off64_t length), (file, length))
STEP(int, rename, (const char *from, const char *to), (from, to))
STEP(int, unlink, (const char *path), (path))
STEP(int, linkat, (int from, const char *a, int to, const char *b, int flags), (from, a, to, b, flags))
STEP(ssize_t, pwrite, (int file, const void *bytes, size_t count, off_t at), (file, bytes, count, at))
STEP(ssize_t, pwrite64, (int file, const void *bytes, size_t count, off64_t at), (file, bytes, count, at))
