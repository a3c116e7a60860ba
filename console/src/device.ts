// Devices: what tells this browser from another, and what one is called.

/**
 * So that it can be trusted after a second factor. It is no secret and no proof: the proof is a cookie that only the server
 * reads.
 */
export function deviceFingerprint(): string {
    return JSON.stringify({
        platform: navigator.platform,
        language: navigator.language,
        screen: `${screen.width}x${screen.height}`,
        time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    });
}

/** A browser and a system, as people call them. */
export function deviceName(agent: string | null | undefined): string {
    if (!agent) return "Unknown client";
    const browser = /Edg\//.test(agent)
        ? "Edge"
        : /Firefox\//.test(agent)
          ? "Firefox"
          : /Chrome\//.test(agent)
            ? "Chrome"
            : /Safari\//.test(agent)
              ? "Safari"
              : agent.split(/[ /]/)[0];
    const system = /Windows/.test(agent)
        ? "Windows"
        : /iPhone|iPad/.test(agent)
          ? "iOS"
          : /Mac OS/.test(agent)
            ? "macOS"
            : /Android/.test(agent)
              ? "Android"
              : /Linux/.test(agent)
                ? "Linux"
                : "";
    return system ? `${browser} on ${system}` : (browser ?? agent);
}
