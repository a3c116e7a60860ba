// What tells this browser from another, so that it can be trusted after a second factor. It is no secret and no proof: the
// proof is a cookie that only the server reads.

export function deviceFingerprint(): string {
    return JSON.stringify({
        platform: navigator.platform,
        language: navigator.language,
        screen: `${screen.width}x${screen.height}`,
        time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    });
}
