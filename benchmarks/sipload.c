/* Load for a SIP registrar over UDP on loopback: REGISTER (with or without digest) or keep-alive MESSAGE, closed window.
 *
 * sipload HOST PORT MODE DEVICES SECONDS WINDOW PASSWORD SERVER_ID DOMAIN OWN_PORT GENERATION
 *   MODE: register (digest when challenged, each device once), keepalive (round robin until SECONDS are over),
 *         round (each device's keep-alive once), paced:RATE (keep-alives at RATE per second, open loop, times measured)
 *   OWN_PORT: the port to send from, 0 for any. GENERATION: another one is another Call-ID of each REGISTER: a restart.
 * One socket. Answers are matched by the device's number inside the Call-ID; what the platform asks is answered with 200.
 * A REGISTER or round that is not answered within half a second is sent again. Prints one JSON line.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* ---- MD5 (RFC 1321) ---- */
static const uint32_t K[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501, 0x698098d8, 0x8b44f7af,
    0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821, 0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa,
    0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8, 0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8,
    0x676f02d9, 0x8d2a4c8a, 0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665, 0xf4292244, 0x432aff97,
    0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1, 0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1,
    0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};
static const int R[64] = {7, 12, 17, 22, 7, 12, 17, 22, 7, 12, 17, 22, 7, 12, 17, 22, 5, 9, 14, 20, 5, 9, 14, 20, 5, 9, 14, 20,
                          5, 9, 14, 20, 4, 11, 16, 23, 4, 11, 16, 23, 4, 11, 16, 23, 4, 11, 16, 23, 6, 10, 15, 21, 6, 10, 15, 21,
                          6, 10, 15, 21, 6, 10, 15, 21};

static void md5_block(uint32_t h[4], const uint8_t *p) {
    uint32_t w[16], a = h[0], b = h[1], c = h[2], d = h[3];
    memcpy(w, p, 64);
    for (int i = 0; i < 64; i++) {
        uint32_t f;
        int g;
        if (i < 16) f = (b & c) | (~b & d), g = i;
        else if (i < 32) f = (d & b) | (~d & c), g = (5 * i + 1) & 15;
        else if (i < 48) f = b ^ c ^ d, g = (3 * i + 5) & 15;
        else f = c ^ (b | ~d), g = (7 * i) & 15;
        uint32_t t = a + f + K[i] + w[g];
        a = d, d = c, c = b, b += (t << R[i]) | (t >> (32 - R[i]));
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d;
}

static void md5_hex(const char *text, char out[33]) {
    uint32_t h[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    size_t n = strlen(text), i = 0;
    uint8_t tail[128] = {0};
    for (; i + 64 <= n; i += 64) md5_block(h, (const uint8_t *)text + i);
    size_t rest = n - i, total = rest + 9 <= 64 ? 64 : 128;
    memcpy(tail, text + i, rest);
    tail[rest] = 0x80;
    uint64_t bits = (uint64_t)n * 8;
    memcpy(tail + total - 8, &bits, 8);
    for (size_t k = 0; k < total; k += 64) md5_block(h, tail + k);
    for (int k = 0; k < 16; k++) sprintf(out + 2 * k, "%02x", ((uint8_t *)h)[k]);
}

/* ---- load ---- */
#define BATCH 64
#define SIZE 2048
static const char *server_id, *domain, *password;
static int port_local, generation;

static void device(char out[21], long n) { snprintf(out, 21, "9901000000132%07u", (unsigned)(n % 10000000)); }

static int build_register(char *to, long n, int cseq, const char *nonce, const char *realm) {
    char id[21], auth[512] = "";
    device(id, n);
    if (nonce) {
        char a[300], h1[33], h2[33], r[33];
        snprintf(a, sizeof a, "%s:%s:%s", id, realm, password), md5_hex(a, h1);
        snprintf(a, sizeof a, "REGISTER:sip:%s@%s", server_id, domain), md5_hex(a, h2);
        snprintf(a, sizeof a, "%s:%s:%s", h1, nonce, h2), md5_hex(a, r);
        snprintf(auth, sizeof auth,
                 "Authorization: Digest username=\"%s\", realm=\"%s\", nonce=\"%s\", uri=\"sip:%s@%s\", response=\"%s\", "
                 "algorithm=MD5\r\n",
                 id, realm, nonce, server_id, domain, r);
    }
    return snprintf(to, SIZE,
                    "REGISTER sip:%s@%s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%d;rport;branch=z9hG4bKr%ldx%d\r\n"
                    "From: <sip:%s@%s>;tag=t%ld\r\nTo: <sip:%s@%s>\r\nCall-ID: c%ld-%d@load\r\nCSeq: %d REGISTER\r\n"
                    "Contact: <sip:%s@127.0.0.1:%d>\r\n%sMax-Forwards: 70\r\nUser-Agent: IP Camera\r\nExpires: 86400\r\n"
                    "X-GB-Ver: 2.0\r\nContent-Length: 0\r\n\r\n",
                    server_id, domain, port_local, n, cseq, id, domain, n, id, domain, n, generation, cseq, id, port_local, auth);
}

static int build_keepalive(char *to, long n, long sn) {
    char id[21], body[400];
    device(id, n);
    int size = snprintf(body, sizeof body,
                        "<?xml version=\"1.0\" encoding=\"GB2312\"?>\r\n<Notify>\r\n<CmdType>Keepalive</CmdType>\r\n<SN>%ld</SN>\r\n"
                        "<DeviceID>%s</DeviceID>\r\n<Status>OK</Status>\r\n</Notify>\r\n",
                        sn, id);
    return snprintf(to, SIZE,
                    "MESSAGE sip:%s@%s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%d;rport;branch=z9hG4bKk%ldx%ld\r\n"
                    "From: <sip:%s@%s>;tag=k%ld\r\nTo: <sip:%s@%s>\r\nCall-ID: c%ld@load\r\nCSeq: %ld MESSAGE\r\n"
                    "Content-Type: Application/MANSCDP+xml\r\nMax-Forwards: 70\r\nContent-Length: %d\r\n\r\n%s",
                    server_id, domain, port_local, n, sn, id, domain, sn, server_id, domain, n, sn & 0x7fffffff, size, body);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static long answered_device(const char *message) {
    const char *found = strcasestr(message, "\r\nCall-ID:");
    if (!found) return -1;
    found += 10;
    while (*found == ' ') found++;
    return *found == 'c' ? atol(found + 1) : -1;
}

static int quoted(const char *message, const char *key, char *out, size_t size) {
    const char *found = strstr(message, key);
    if (!found) return 0;
    found += strlen(key);
    size_t n = strcspn(found, "\"");
    if (n >= size) return 0;
    memcpy(out, found, n), out[n] = 0;
    return 1;
}

/* 200 to a request of the platform: its Via, From, To, Call-ID and CSeq as they are. */
static int build_ok(char *to, const char *request) {
    static const char *names[] = {"Via:", "From:", "To:", "Call-ID:", "CSeq:"};
    int size = snprintf(to, SIZE, "SIP/2.0 200 OK\r\n");
    for (const char *line = strstr(request, "\r\n"); line && strncmp(line, "\r\n\r\n", 4); line = strstr(line + 2, "\r\n"))
        for (int i = 0; i < 5; i++)
            if (!strncasecmp(line + 2, names[i], strlen(names[i]))) {
                int length = (int)strcspn(line + 2, "\r");
                if (size + length + 64 < SIZE) size += snprintf(to + size, SIZE - size, "%.*s\r\n", length, line + 2);
            }
    return size + snprintf(to + size, SIZE - size, "Content-Length: 0\r\n\r\n");
}

static int compare(const void *a, const void *b) { return (*(float *)a > *(float *)b) - (*(float *)a < *(float *)b); }

int main(int argc, char **argv) {
    if (argc < 12) return fprintf(stderr, "usage: see the head of sipload.c\n"), 2;
    const char *mode = argv[3];
    long devices = atol(argv[4]), window = atol(argv[6]);
    double seconds = atof(argv[5]);
    password = argv[7], server_id = argv[8], domain = argv[9], generation = atoi(argv[11]);
    int registering = !strcmp(mode, "register"), paced = !strncmp(mode, "paced:", 6), once = !strcmp(mode, "round") || registering;
    double rate = paced ? atof(mode + 6) : 0;

    int s = socket(AF_INET, SOCK_DGRAM, 0), buffer = 32 << 20;
    setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
    setsockopt(s, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    struct sockaddr_in me = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, peer = me;
    me.sin_port = htons(atoi(argv[10]));
    if (bind(s, (struct sockaddr *)&me, sizeof me)) return perror("bind"), 1;
    socklen_t length = sizeof me;
    getsockname(s, (struct sockaddr *)&me, &length);
    port_local = ntohs(me.sin_port);
    peer.sin_port = htons(atoi(argv[2]));
    inet_pton(AF_INET, argv[1], &peer.sin_addr);
    connect(s, (struct sockaddr *)&peer, sizeof peer);

    static char out[BATCH][SIZE], in[BATCH][SIZE];
    struct mmsghdr send_head[BATCH] = {0}, receive_head[BATCH] = {0};
    struct iovec send_part[BATCH], receive_part[BATCH];
    for (int i = 0; i < BATCH; i++) {
        send_head[i].msg_hdr.msg_iov = &send_part[i], send_head[i].msg_hdr.msg_iovlen = 1, send_part[i].iov_base = out[i];
        receive_part[i] = (struct iovec){in[i], SIZE - 1};
        receive_head[i].msg_hdr.msg_iov = &receive_part[i], receive_head[i].msg_hdr.msg_iovlen = 1;
    }
    uint8_t *done = calloc(devices, 1);
    double *asked = calloc(devices, sizeof *asked);
    size_t most_times = paced ? (size_t)(rate * seconds * 1.2) + 1000 : 1, times = 0;
    float *took = calloc(most_times, sizeof *took);
    long sent = 0, ok = 0, challenged = 0, refused = 0, next = 0, flying = 0, repeated = 0, asked_us = 0, again = 0;
    double start = now(), end = start + seconds, progress = start;
    for (;;) {
        double t = now();
        int sending = once ? next < devices : t < end;
        if (once && !sending && ok - repeated < devices && flying <= 0) { /* send again what was not answered */
            long first = 0;
            while (first < devices && done[first]) first++;
            next = first, sending = 1;
        }
        if (once ? ok - repeated >= devices : !sending && (flying <= 0 || t - progress > 20.0)) break;
        if (once && t - start > seconds) break;
        int n = 0;
        if (sending) {
            long room = paced ? (long)((t - start) * rate) - sent : window - flying;
            while (n < BATCH && n < room && (!once || next < devices)) {
                long d = once ? next++ : next++ % devices;
                if (done[d]) continue;
                send_part[n].iov_len = registering ? build_register(out[n], d, 1, NULL, NULL) : build_keepalive(out[n], d, next);
                again += asked[d] > 0 && once;
                asked[d] = t;
                n++;
            }
        }
        if (n) {
            int went = sendmmsg(s, send_head, n, 0);
            if (went < 0) went = 0;
            sent += went, flying += went;
        }
        int got = recvmmsg(s, receive_head, BATCH, MSG_DONTWAIT, NULL);
        if (got <= 0) {
            if (!paced && t - progress > 0.5) flying = 0, progress = t; /* lost: open the window again */
            struct pollfd wait = {s, POLLIN, 0};
            poll(&wait, 1, n ? 0 : 1);
            continue;
        }
        int back = 0, answers = 0;
        for (int i = 0; i < got; i++) {
            in[i][receive_head[i].msg_len] = 0;
            if (strncmp(in[i], "SIP/2.0 ", 8)) { /* a request: devices answer what the platform asks */
                asked_us++;
                send_part[back].iov_len = build_ok(out[back], in[i]), back++, answers++;
                continue;
            }
            progress = t;
            int status = atoi(in[i] + 8);
            long d = answered_device(in[i]);
            flying--;
            if (status == 200) {
                ok++;
                if (once && d >= 0 && d < devices) repeated += done[d], done[d] = 1;
                if (paced && d >= 0 && d < devices && times < most_times) took[times++] = (float)(now() - asked[d]);
            } else if (status == 401 && registering && d >= 0 && d < devices) {
                char nonce[128], realm[64];
                challenged++;
                if (quoted(in[i], "nonce=\"", nonce, sizeof nonce) && quoted(in[i], "realm=\"", realm, sizeof realm)) {
                    send_part[back].iov_len = build_register(out[back], d, 2, nonce, realm);
                    back++;
                }
            } else if (status >= 300) refused++;
        }
        if (back) {
            int went = sendmmsg(s, send_head, back, 0);
            if (went > answers) sent += went - answers, flying += went - answers;
        }
    }
    double took_all = now() - start;
    if (took_all > seconds && !once) took_all = seconds;
    qsort(took, times, sizeof *took, compare);
    printf("{\"mode\": \"%s\", \"sent\": %ld, \"ok\": %ld, \"challenged\": %ld, \"refused\": %ld, \"repeated\": %ld, \"again\": %ld, "
           "\"asked_us\": %ld, \"port\": %d, \"seconds\": %.3f, \"p50_ms\": %.3f, \"p99_ms\": %.3f}\n",
           mode, sent, ok, challenged, refused, repeated, again, asked_us, port_local, took_all, times ? took[times / 2] * 1e3 : 0.0,
           times ? took[(size_t)(times * 0.99)] * 1e3 : 0.0);
    return 0;
}
