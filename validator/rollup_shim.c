/*
 * Preloaded into MagicBlock's validator 0.8.3, for two things that it does:
 *   - it insists on a limit of 1,000,000 open files, which few machines allow and which it never needs here;
 *   - its terminal display polls getBlock on itself, which encodes every cloned account as JSON and can hold the only
 *     RPC worker for minutes. The method's name is spoilt in its own requests, so the answer is an error at once.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define ENOUGH_FILES 2000000
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int getrlimit(__rlimit_resource_t resource, struct rlimit *limit)
{
    int error = NEXT(getrlimit)(resource, limit);

    if (error == 0 && resource == RLIMIT_NOFILE)
        limit->rlim_cur = limit->rlim_max = ENOUGH_FILES;
    return error;
}

int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit)
{
    return resource == RLIMIT_NOFILE ? 0 : NEXT(setrlimit)(resource, limit);
}

int getrlimit64(__rlimit_resource_t resource, struct rlimit64 *limit)
{
    return getrlimit(resource, (struct rlimit *)limit);
}

int setrlimit64(__rlimit_resource_t resource, const struct rlimit64 *limit)
{
    return setrlimit(resource, (const struct rlimit *)limit);
}

static void spoil(const void *data, size_t len)
{
    char *name = memmem(data, len, "\"getBlock\"", 10);

    if (name)
        name[8] = 'X';
}

static int is_post(const void *data, size_t len)
{
    return len > 4 && memcmp(data, "POST", 4) == 0;
}

ssize_t send(int to, const void *data, size_t len, int flags)
{
    if (is_post(data, len))
        spoil(data, len);
    return NEXT(send)(to, data, len, flags);
}

ssize_t write(int to, const void *data, size_t len)
{
    if (is_post(data, len))
        spoil(data, len);
    return NEXT(write)(to, data, len);
}

ssize_t writev(int to, const struct iovec *parts, int n)
{
    if (n > 0 && is_post(parts[0].iov_base, parts[0].iov_len))
        for (int i = 0; i < n; i++)
            spoil(parts[i].iov_base, parts[i].iov_len);
    return NEXT(writev)(to, parts, n);
}
