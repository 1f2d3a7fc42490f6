/* Loaded before the C library: kills the process right before the step of number KILL_AT_STEP, counted from 1 over all
 * threads. A step is what makes a file's name or content durable or undoes it, and of the writes of the database that
 * follow one another the first and the second: nothing of them is there then, or a part. */
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

static atomic_long writes_in_a_row;

static void write_step(void)
{
    if (atomic_fetch_add(&writes_in_a_row, 1) < 2) {
        step();
    }
}

static void other_step(void)
{
    atomic_store(&writes_in_a_row, 0);
    step();
}

#define STEP(before, result, name, parameters, arguments) \
    result name parameters                                \
    {                                                     \
        static result(*real) parameters;                  \
        if (real == NULL) {                               \
            *(void **)&real = dlsym(RTLD_NEXT, #name);    \
        }                                                 \
        before();                                         \
        return real arguments;                            \
    }

STEP(other_step, int, fsync, (int file), (file))
STEP(other_step, int, fdatasync, (int file), (file))
STEP(other_step, int, ftruncate, (int file, off_t length), (file, length))
STEP(other_step, int, ftruncate64, (int file, off64_t length), (file, length))
STEP(other_step, int, rename, (const char *from, const char *to), (from, to))
STEP(other_step, int, unlink, (const char *path), (path))
STEP(other_step, int, linkat, (int from, const char *a, int to, const char *b, int flags), (from, a, to, b, flags))
STEP(write_step, ssize_t, pwrite, (int file, const void *bytes, size_t count, off_t at), (file, bytes, count, at))
STEP(write_step, ssize_t, pwrite64, (int file, const void *bytes, size_t count, off64_t at), (file, bytes, count, at))
