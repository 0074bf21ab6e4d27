// Every string of the client, in Chinese and in English, and the language now spoken.
import type {Label, Language} from './types';

export const STRINGS = {
  'brand': ['城图', 'Chengtu'],
  'tagline': ['城市运行一张图', 'One map of the city'],
  'loading': ['正在读取城市目录…', 'Reading the city catalogue…'],
  'layers': ['图层', 'Layers'],
  'layers.on': ['{on} / {all} 已开', '{on} of {all} on'],
  'layers.none': ['目录里没有您可以查看的图层', 'The catalogue holds no layer you may see'],
  'layers.hide': ['收起图层栏', 'Hide layers'],
  'layers.show': ['展开图层栏', 'Show layers'],
  'layer.more': ['图例与设置：{name}', 'Legend and settings: {name}'],
  'layer.show': ['显示 {name}', 'Show {name}'],
  'layer.opacity': ['不透明度', 'Opacity'],
  'layer.zoomTo': ['缩放至图层', 'Zoom to layer'],
  'layer.fromZoom': ['{z} 级起可见', 'Visible from zoom {z}'],
  'layer.export': ['导出', 'Export'],
  'layer.source': ['来源', 'Source'],
  'layer.licence': ['许可', 'Licence'],
  'layer.count': ['要素 {n}', '{n} features'],
  'layer.updated': ['更新于 {age}', 'Updated {age}'],
  'layer.empty': ['本市暂无数据', 'No data in this city'],
  'layer.noDate': ['更新时间未知', 'Age unknown'],
  'layer.simulatedShare': ['其中模拟 {n}', '{n} simulated'],
  'legend.show': ['显示类别 {name}', 'Show class {name}'],
  'simulated': ['模拟', 'Simulated'],
  'simulated.title': ['模拟数据：由程序沿真实街道生成，不是实测', 'Simulated: generated along real streets, not surveyed'],
  'age.seconds': ['{n} 秒前', '{n} s ago'],
  'age.minutes': ['{n} 分钟前', '{n} min ago'],
  'age.hours': ['{n} 小时前', '{n} h ago'],
  'age.days': ['{n} 天前', '{n} days ago'],
  'yes': ['是', 'Yes'],
  'no': ['否', 'No'],
  'hexagons': ['六边形统计', 'Hexagons'],
  'hexagons.short': ['六边形', 'Hexagons'],
  'hexagons.layer': ['图层', 'Layer'],
  'hexagons.measure': ['指标', 'Measure'],
  'hexagons.resolution': ['精度', 'Resolution'],
  'hexagons.auto': ['随缩放（H3 {r}）', 'By zoom (H3 {r})'],
  'hexagons.extruded': ['立体柱', 'Columns'],
  'hexagons.none': ['当前视野内没有数据', 'No data in view'],
  'hexagons.off': ['打开后按 H3 单元汇总任意图层的指标。', 'Switch on to sum any measure of a layer by H3 cell.'],
  'hexagons.cells': ['{n} 个单元 · H3 {r} 级 · 单元约 {size}', '{n} cells · H3 level {r} · about {size} across'],
  'hexagons.cell': ['H3 单元', 'H3 cell'],
  'hexagons.scale': ['分位数分级', 'Quantile classes'],
  'hexagons.noMeasure': ['没有可统计的图层', 'No layer has a measure'],
  'hexagons.loading': ['汇总中…', 'Summing…'],
  'details': ['要素详情', 'Details'],
  'details.none': ['点击地图上的要素，或用搜索查找。', 'Click a feature on the map, or search for one.'],
  'details.loading': ['读取中…', 'Reading…'],
  'details.close': ['关闭详情', 'Close details'],
  'details.flyTo': ['定位', 'Go to'],
  'details.updated': ['更新时间', 'Updated'],
  'details.source': ['数据来源', 'Source'],
  'details.live': ['实时', 'live'],
  'panel.hide': ['收起右侧栏', 'Hide right panel'],
  'panel.show': ['展开右侧栏', 'Show right panel'],
  'search': ['搜索名称或编码', 'Search by name or code'],
  'search.none': ['没有找到 “{q}”', 'Nothing found for “{q}”'],
  'search.results': ['搜索结果', 'Search results'],
  'search.found': ['{n} 条结果', '{n} results'],
  'language.switch': ['Switch to English', '切换到中文'],
  'scale.bigger': ['放大界面', 'Larger interface'],
  'scale.smaller': ['缩小界面', 'Smaller interface'],
  'session.signIn': ['登录', 'Sign in'],
  'session.signOut': ['退出登录', 'Sign out'],
  'session.token': ['访问令牌', 'Access token'],
  'session.hint': ['粘贴管理员发给您的令牌。', 'Paste the token your administrator gave you.'],
  'session.linkUsed': ['此登录链接已被使用过。请索取新链接，或粘贴令牌登录。', 'This sign-in link has already been used. Ask for a new one, or paste a token.'],
  'session.expires': ['有效至 {at}', 'Valid until {at}'],
  'session.as': ['当前身份', 'Signed in as'],
  'close': ['关闭', 'Close'],
  'retry': ['重试', 'Retry'],
  'link.live': ['实时连接', 'Live'],
  'link.connecting': ['连接中', 'Connecting'],
  'link.lost': ['{age}断开', 'Lost {age}'],
  'link.stale': ['与服务器的连接已中断，以下为 {at} 的数据。', 'The connection is lost: data as of {at}.'],
  'tools': ['地图工具', 'Map tools'],
  'tools.zoomIn': ['放大', 'Zoom in'],
  'tools.zoomOut': ['缩小', 'Zoom out'],
  'tools.north': ['指北', 'North up'],
  'tools.tilt': ['俯视 / 倾斜', 'Flat / tilted'],
  'tools.home': ['回到全城', 'Whole city'],
  'underground': ['地下透视', 'Underground'],
  'underground.none': ['没有可查看的地下图层', 'No underground layer to see'],
  'underground.exaggeration': ['竖向夸大 ×{n}', 'Depth exaggerated ×{n}'],
  'underground.zoomIn': ['放大到 {z} 级可见地下管线', 'Zoom to {z} to see what lies below'],
  'status': ['状态', 'Status'],
  'status.ready': ['就绪', 'Ready'],
  'status.tiles': ['{layer}：瓦片读取失败（{why}）', '{layer}: tiles could not be read ({why})'],
  'status.basemap': ['底图', 'Basemap'],
  'status.more': ['另有 {n} 条', '{n} more'],
  'status.zoom': ['{z} 级', 'z {z}'],
  'map': ['城市地图。方向键平移，加减号缩放。', 'City map. Arrow keys pan, plus and minus zoom.'],
  'error.unreachable': ['服务器没有响应', 'The server does not answer'],
  'error.forbidden': ['无权查看', 'Not permitted'],
  'error.missing': ['没有找到', 'Not found'],
  'error.busy': ['请求过多，请稍候', 'Too many requests, please wait'],
  'error.server': ['服务器出错（{status}）', 'Server error ({status})'],
  'error.status': ['请求未成功（{status}）', 'Request failed ({status})'],
  'error.catalog': ['城市目录读取失败：{why}', 'The city catalogue could not be read: {why}'],
  'error.scene': ['场景读取失败：{why}', 'The scene could not be read: {why}'],
  'error.style': ['底图样式读取失败：{why}', 'The basemap style could not be read: {why}'],
  'error.hexagons': ['六边形读取失败：{why}', 'Hexagons could not be read: {why}'],
  'error.details': ['详情读取失败：{why}', 'Details could not be read: {why}'],
  'error.search': ['搜索失败：{why}', 'The search failed: {why}'],
  'error.unknownClass': ['场景要求未登记的绘图类：{names}', 'The scene asks for classes this client does not know: {names}'],
  'error.webgl': ['此浏览器不支持 WebGL2，无法绘制地图。', 'This browser has no WebGL2, so the map cannot be drawn.'],
  'error.drawing': ['{layer}：绘制出错（{why}）', '{layer}: drawing failed ({why})'],
  'retry.in': ['{n} 秒后自动重试', 'Trying again in {n} s'],
  'role.public': ['公众', 'Public'],
  'role.wall': ['指挥大屏', 'Wall'],
  'role.planner': ['规划', 'Planner'],
  'role.utility': ['管线权属单位', 'Utility'],
  'role.emergency': ['应急', 'Emergency'],
  'role.operator': ['运维', 'Operator'],
  'role.auditor': ['审计', 'Auditor'],
  'role.admin': ['管理员', 'Administrator'],
} as const satisfies Record<string, readonly [zh: string, en: string]>;

export type Phrase = keyof typeof STRINGS;

let spoken: Language = 'zh';

/** The language now spoken. */
export function language(): Language {
  return spoken;
}

/** Speaks another language from now on; the panels redraw themselves by the state's change. */
export function speak(next: Language): void {
  spoken = next;
}

/** What says the phrases of one list in the language now spoken, their `{gaps}` filled. A page may have a list of its own. */
export function sayer<K extends string>(strings: Record<K, readonly [zh: string, en: string]>): (phrase: K, gaps?: Record<string, string | number>) => string {
  return (phrase, gaps = {}) => {
    const text: string = strings[phrase][spoken === 'zh' ? 0 : 1];
    return text.replace(/\{(\w+)\}/g, (gap, name: string) => String(gaps[name] ?? gap));
  };
}

/** A phrase in the language now spoken, with its `{gaps}` filled. */
export const say = sayer<Phrase>(STRINGS);

/** A role's name; one this client does not know is shown as it is. */
export function sayRole(role: string): string {
  const phrase = `role.${role}`;
  return phrase in STRINGS ? say(phrase as Phrase) : role;
}

/** A label of the catalogue in the language now spoken, or in the other where that one is missing. */
export function pick(label: Label | string | null | undefined): string {
  if (!label) return '';
  if (typeof label === 'string') return label;
  return label[spoken] || label.zh || label.en || '';
}
